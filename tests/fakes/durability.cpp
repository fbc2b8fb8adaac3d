#include "tests/fakes/durability.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace perjoule::fakes {

using durability_detail::Change;
using durability_detail::Content;
using durability_detail::NameChange;

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::size_t index(std::int64_t offset) {
  return static_cast<std::size_t>(offset);
}

void put(std::string& bytes, std::size_t offset, std::string_view what) {
  if (what.empty()) return;
  if (bytes.size() < offset + what.size()) bytes.resize(offset + what.size());
  std::copy(what.begin(), what.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

void undo(std::string& bytes, const Change& change) {
  if (change.truncation) {
    bytes.resize(index(change.offset));
    bytes += change.before;
  } else {
    put(bytes, index(change.offset), change.before);
  }
  bytes.resize(index(change.size_before));
}

void redo(std::string& bytes, const Change& change) {
  if (change.truncation) {
    bytes.resize(std::min(bytes.size(), index(change.offset)));
  } else {
    put(bytes, index(change.offset), change.after);
  }
}

// Applies some of the change's sectors.
void tear(std::string& bytes, const Change& change, std::mt19937_64& random) {
  const auto sector = index(sector_bytes);
  const std::size_t begin = index(change.offset);
  const std::size_t end = begin + change.after.size();
  for (std::size_t at = begin; at < end;) {
    const std::size_t next = std::min(end, (at / sector + 1) * sector);
    if (random() % 2 == 0) put(bytes, at, std::string_view(change.after).substr(at - begin, next - at));
    at = next;
  }
}

}  // namespace

Durability::File Durability::opened(const std::string& path, bool existed) {
  File& file = names_[path];
  if (file != nullptr && existed) return file;
  if (file != nullptr) durable_.erase(path);  // it was moved without SQLite; that counts as durable
  file = std::make_shared<Content>();
  if (existed) {
    durable_[path] = file;
  } else {
    changes_.push_back({next_order_++, path, file});
  }
  return file;
}

void Durability::wrote(Content& file, std::int64_t offset, std::int64_t size_before, std::string before,
                       std::string after) {
  file.pending.push_back({next_order_++, false, offset, size_before, std::move(before), std::move(after)});
}

void Durability::truncated(Content& file, std::int64_t size, std::int64_t size_before, std::string before) {
  file.pending.push_back({next_order_++, true, size, size_before, std::move(before), {}});
}

void Durability::removing(const std::string& path) {
  const auto found = names_.find(path);
  if (found == names_.end()) return;
  found->second->removed = bytes_of(path);
  names_.erase(found);
  changes_.push_back({next_order_++, path, nullptr});
}

void Durability::synced_directory() {
  for (auto& change : changes_) {
    if (change.to == nullptr) {
      durable_.erase(change.path);
    } else {
      durable_[change.path] = std::move(change.to);
    }
  }
  changes_.clear();
}

void Durability::cut() {
  wreck_ = {};
  const auto take = [this](Content& file, std::string bytes) {
    if (!wreck_.bytes.emplace(&file, std::move(bytes)).second) return;
    for (const auto& change : file.pending)
      wreck_.orders.push_back(change.order);
  };
  for (const auto& [path, file] : names_)
    take(*file, bytes_of(path));
  for (const auto& [path, file] : durable_)
    take(*file, file->removed);
  for (const auto& change : changes_) {
    wreck_.orders.push_back(change.order);
    if (change.to != nullptr) take(*change.to, change.to->removed);
  }
  std::sort(wreck_.orders.begin(), wreck_.orders.end());
  wreck_.names = std::exchange(names_, {});
  wreck_.durable = std::exchange(durable_, {});
  wreck_.changes = std::exchange(changes_, {});
}

std::size_t Durability::lost_at_most() const {
  return wreck_.orders.size();
}

Durability::Names Durability::surviving_names(std::mt19937_64& random, Survival survival, std::uint64_t until) const {
  Names names = wreck_.durable;
  std::map<std::string, bool> ended;  // the changes of a name survive in order, up to a random one
  for (const auto& change : wreck_.changes) {
    if (survival == Survival::none) break;
    if (survival == Survival::prefix && change.order >= until) break;
    if (survival == Survival::half && (ended[change.path] = ended[change.path] || random() % 2 == 0)) continue;
    if (change.to == nullptr) {
      names.erase(change.path);
    } else {
      names[change.path] = change.to;
    }
  }
  return names;
}

std::string Durability::image(const Content& file, std::string bytes, std::mt19937_64& random, Survival survival,
                              std::uint64_t until) {
  for (auto change = file.pending.rbegin(); change != file.pending.rend(); ++change)
    undo(bytes, *change);
  if (survival == Survival::none) return bytes;
  for (const auto& change : file.pending) {
    if (survival == Survival::all || (survival == Survival::prefix && change.order < until)) {
      redo(bytes, change);
    } else if (survival == Survival::prefix) {
      if (change.order == until) tear(bytes, change, random);
      break;
    } else if (const auto coin = random() % 8; coin < 4) {
      redo(bytes, change);
    } else if (coin < 6) {
      tear(bytes, change, random);
    }
  }
  return bytes;
}

void Durability::rewrite(std::uint64_t seed, Survival survival) {
  std::mt19937_64 random(seed);
  std::uint64_t until = UINT64_MAX;
  if (survival == Survival::prefix) {
    const std::size_t count = random() % (wreck_.orders.size() + 1);
    if (count < wreck_.orders.size()) until = wreck_.orders[count];
  }
  const Names names = surviving_names(random, survival, until);
  std::map<std::string, bool> stale;  // every name that belongs, or belonged, to one of these files
  for (const auto& [path, file] : wreck_.names)
    stale[path] = true;
  for (const auto& [path, file] : wreck_.durable)
    stale[path] = true;
  for (const auto& change : wreck_.changes)
    stale[change.path] = true;
  for (const auto& [path, file] : names_)
    stale[path] = true;
  std::error_code ignored;
  for (const auto& [path, unused] : stale) {
    std::filesystem::remove(path, ignored);
    std::filesystem::remove(path + "-shm", ignored);
  }
  for (const auto& [path, file] : names)
    std::ofstream(path, std::ios::binary) << image(*file, wreck_.bytes.at(file.get()), random, survival, until);
  names_.clear();
  durable_.clear();
  changes_.clear();
}

}  // namespace perjoule::fakes
