#include "daemon/record/ledger_migration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "collectors/cpu_package.hpp"
#include "collectors/labels.hpp"

namespace perjoule {

namespace {

struct Key {
  std::string family;
  Labels labels;  // in the order of the text

  [[nodiscard]] std::string* find(std::string_view name) {
    const auto found =
        std::find_if(labels.begin(), labels.end(), [&](const auto& label) { return label.first == name; });
    return found == labels.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::string text() const { return family + '{' + label_text(labels) + '}'; }
};

std::optional<Key> parse(std::string_view key) {
  const std::size_t brace = key.find('{');
  if (brace == std::string_view::npos || !key.ends_with('}')) return std::nullopt;
  std::optional<Labels> labels = parse_in_order(key.substr(brace + 1, key.size() - brace - 2));
  if (!labels) return std::nullopt;
  return Key{std::string(key.substr(0, brace)), std::move(*labels)};
}

// "package-0-die-3" -> "package-0", "0-die-3" -> "0". False: it names no die.
bool to_socket(std::string& name) {
  const std::size_t start = name.starts_with("package-") ? std::string_view("package-").size() : 0;
  const auto package = parse_cpu_package(std::string_view(name).substr(start));
  if (!package || !package->die) return false;
  name = name.substr(0, start) + label(CpuPackage{package->number, {}});
  return true;
}

class Migration {
 public:
  Migration(storage::LedgerRows& rows, const std::string& boot_id, const HostNames& host) : rows_(rows), host_(host) {
    for (const storage::MeterRow& row : rows.meters) {
      std::optional<Key> key = parse(row.key);
      const std::string* const chip = key ? key->find("chip") : nullptr;
      if (chip == nullptr) continue;
      known_.insert(*chip);
      if (row.boot_id == boot_id) of_this_boot_.insert(*chip);
    }
  }

  std::vector<std::string> run() {
    std::map<std::string, std::int64_t> totals;
    for (const storage::TotalRow& row : rows_.totals) {
      const Renamed renamed = rename(row.key);
      const auto [found, added] = totals.try_emplace(renamed.key, row.millionths);
      if (added) continue;
      found->second = renamed.is_die ? std::max(found->second, row.millionths) : found->second + row.millionths;
    }
    if (expired_.empty()) return std::move(lines_);
    std::map<std::string, storage::MeterRow> meters;
    for (storage::MeterRow& row : rows_.meters) {
      row.key = rename(row.key).key;
      const auto [found, added] = meters.try_emplace(row.key, row);
      if (!added && found->second.wall_ms < row.wall_ms) found->second = row;
    }
    rows_.totals.clear();
    for (const auto& [key, millionths] : totals)
      rows_.totals.push_back({key, millionths});
    rows_.meters.clear();
    for (auto& [key, row] : meters)
      rows_.meters.push_back(std::move(row));
    rows_.expired.insert(rows_.expired.end(), expired_.begin(), expired_.end());
    if (!sensors_.empty()) rows_.states.push_back({std::string(node_sensors_state), sensors_});
    return std::move(lines_);
  }

 private:
  struct Renamed {
    std::string key;
    bool is_die = false;
  };

  Renamed rename(const std::string& text) {
    std::optional<Key> key = parse(text);
    if (!key) return {text};
    Renamed renamed;
    for (const char* name : {"package", "device"}) {
      std::string* const value = key->find(name);
      if (value != nullptr && host_.dies_share_a_counter && to_socket(*value)) renamed.is_die = true;
    }
    rename_chip(*key);
    const std::string* const role = key->find("role");
    const bool of_node = role != nullptr && (*role == "node" || *role == "psu_in");
    const bool has_uuid = key->find("uuid") != nullptr;
    std::erase_if(key->labels,
                  [&](const auto& label) { return label.first == "role" || (label.first == "gpu" && has_uuid); });
    renamed.key = key->text();
    if (renamed.key != text && expired_.insert(text).second && of_node) sensors_ += renamed.key + '\n';
    return renamed;
  }

  // A chip in its label `chip`, or before the slash in the label `device`.
  void rename_chip(Key& key) {
    std::string* value = key.find("chip");
    if (value == nullptr) value = key.find("device");
    if (value == nullptr) return;
    const std::string chip = value->substr(0, value->find('/'));
    const auto found =
        std::find_if(host_.chips.begin(), host_.chips.end(), [&](const auto& name) { return name.first == chip; });
    if (found == host_.chips.end()) return;
    const bool goes_on = of_this_boot_.contains(chip);
    if (goes_on) *value = found->second + value->substr(chip.size());
    if (!said_.insert(chip).second || (!goes_on && known_.contains(found->second))) return;  // said at an earlier start
    lines_.push_back(
        goes_on ? fmt::format("the totals of chip {} go on as those of {}, its name from now on", chip, found->second)
                : fmt::format("the totals of chip {} were counted before a reboot, and its name does not "
                              "say which device it was: they are kept as they were, and those of {} begin "
                              "at 0",
                              chip, found->second));
  }

  storage::LedgerRows& rows_;
  const HostNames& host_;
  std::set<std::string> known_;         // chips that the ledger has
  std::set<std::string> of_this_boot_;  // those of them that were read in this boot
  std::set<std::string> expired_;
  std::string sensors_;
  std::set<std::string> said_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> migrate(storage::LedgerRows& rows, const std::string& boot_id, const HostNames& host) {
  return Migration(rows, boot_id, host).run();
}

}  // namespace perjoule
