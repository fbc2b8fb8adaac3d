// A JSON value under examination: it knows its path, and a refusal of it knows its place. For the rule reader alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_reader.hpp"

namespace perjoule::alerts {

class JsonCursor {
 public:
  // `value` and `problems` outlive the subject.
  JsonCursor(const config::json::Value& value, std::string path, std::vector<config::json::Problem>& problems)
      : value_(&value), path_(std::move(path)), problems_(&problems) {}

  void refuse(std::string what, std::string help = {}) const;
  // At the key of a member instead of its value.
  void refuse_key(std::string what, std::string help = {}) const;

  // False, and refused, where it is none.
  [[nodiscard]] bool expect(config::json::Type type) const;
  // Refuses members of an object that are not among `known`. "//" and "x-..." are remarks.
  void expect_members(std::span<const std::string_view> known) const;

  [[nodiscard]] std::optional<JsonCursor> find(std::string_view key) const;
  [[nodiscard]] std::vector<JsonCursor> items() const;  // of an array, or the members of an object

  [[nodiscard]] const std::string& key() const { return value_->key; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is(config::json::Type type) const { return value_->type == type; }
  [[nodiscard]] std::size_t line() const { return value_->place.line; }

  // Refused, and nothing, where it is of another type or out of range.
  [[nodiscard]] std::optional<std::string> text(std::size_t length_max) const;
  [[nodiscard]] std::optional<double> number() const;
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<std::int64_t> duration_ms(std::int64_t min_ms, std::int64_t max_ms) const;
  // One of `words`: its index.
  [[nodiscard]] std::optional<std::size_t> word(std::span<const std::string_view> words) const;

 private:
  const config::json::Value* value_;
  std::string path_;
  std::vector<config::json::Problem>* problems_;
};

}  // namespace perjoule::alerts
