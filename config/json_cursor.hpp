// A JSON value with its path and the list of problems. A refusal is added to the list with the path and the place in
// the file. For the readers of objects that the key table does not describe: receivers, alert rules. One thread at a
// time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_reader.hpp"

namespace perjoule::config {

class JsonCursor {
 public:
  // `value` and `problems` must outlive the cursor.
  JsonCursor(const json::Value& value, std::string path, std::vector<json::Problem>& problems)
      : value_(&value), path_(std::move(path)), problems_(&problems) {}

  // Adds a problem at the value.
  void refuse(std::string what, std::string help = {}) const;
  // Adds a problem at the member's key.
  void refuse_key(std::string what, std::string help = {}) const;

  // Whether the value has this type; if not, refuses it.
  [[nodiscard]] bool expect(json::Type type) const;
  // Refuses members of an object that are not in `known`. The keys "//" and "x-..." are for remarks and always allowed.
  void expect_members(std::span<const std::string_view> known) const;

  [[nodiscard]] std::optional<JsonCursor> find(std::string_view key) const;
  [[nodiscard]] std::vector<JsonCursor> items() const;  // the items of an array or the members of an object

  [[nodiscard]] const std::string& key() const { return value_->key; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is(json::Type type) const { return value_->type == type; }
  [[nodiscard]] std::size_t line() const { return value_->place.line; }

  // The value. If it has another type or is out of range: refuses it and returns nothing.
  [[nodiscard]] std::optional<std::string> text(std::size_t length_max) const;
  [[nodiscard]] std::optional<double> number() const;
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<std::int64_t> duration_ms(std::int64_t min_ms, std::int64_t max_ms) const;
  // The index of the value in `words`.
  [[nodiscard]] std::optional<std::size_t> word(std::span<const std::string_view> words) const;

 private:
  const json::Value* value_;
  std::string path_;
  std::vector<json::Problem>* problems_;
};

}  // namespace perjoule::config
