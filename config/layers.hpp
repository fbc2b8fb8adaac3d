// The layers of the configuration (defaults, files, environment, flags): for each key its value so far and its origin.
// A wrong value in a layer leaves the value of the layer below and adds a refusal. Used by load() only, on its thread;
// reads small files.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/keys.hpp"

namespace perjoule::config {

inline constexpr std::size_t refusals_max = 1000;  // then one more, which says that the rest is not listed
inline constexpr std::size_t drop_in_files_max = 256;

struct Slot {
  KeyValue value;
  std::string origin = "default";
  bool set = false;      // by any layer above the defaults
  bool refused = false;  // a layer has an invalid value for the key
  Refusal where;         // position of the value, for refusals that compare two keys
};

class Layers {
 public:
  Layers(std::span<const CollectorSection> collectors, const ExamineRules& rules);

  // `file` and conf.d/*.json beside it.
  void add_files(const std::filesystem::path& file, bool may_be_missing = false);
  void add_environment(std::span<const std::pair<std::string, std::string>> variables);
  void add_flags(std::span<const std::pair<std::string, std::string>> flags);

  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  [[nodiscard]] Slot& slot(std::size_t index) { return slots_[index]; }
  [[nodiscard]] Slot& slot(const std::string& path) { return slots_[index_.at(path)]; }

  void refuse(Refusal refusal);
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const { return files_; }  // those that were read
  [[nodiscard]] bool full() const { return refusals_.size() > refusals_max; }
  [[nodiscard]] std::vector<Refusal> take_refusals() { return std::move(refusals_); }

 private:
  struct File;
  void add_file(const std::filesystem::path& path);
  void add_section(const File& file, const json::Value& object, const std::string& prefix);
  void add_member(const File& file, const json::Value& member, const std::string& prefix);
  void refuse_unknown(const File& file, const json::Value& member, const std::string& prefix);
  void set(std::size_t index, Checked<KeyValue> value, Refusal where, std::string origin);
  // `text` is from an environment variable or a flag; `source` names it for messages.
  void set_text(std::size_t index, std::string_view text, const std::string& source);
  // `value` is examined by the key's own reader, unless `problems` has errors of reading it.
  void set_examined(std::size_t index, const json::Value& value, std::vector<json::Problem> problems,
                    const std::string& source);
  [[nodiscard]] std::vector<std::string_view> siblings(std::string_view prefix) const;

  std::vector<Key> keys_;
  std::vector<Slot> slots_;  // same order as keys_
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<Refusal> refusals_;
  std::vector<std::filesystem::path> files_;
};

}  // namespace perjoule::config
