#include "storage/sqlite/lock_holders.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>

#include "config/text.hpp"

namespace perjoule::storage {

namespace {

constexpr std::uint64_t first_read_lock = 123;
constexpr std::uint64_t last_read_lock = 127;
constexpr std::size_t named_max = 3;

struct Lock {
  bool shared = false;
  int pid = 0;
  FileIdentity file;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

template <class Number>
bool read_number(std::string_view word, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number, base);
  return error == std::errc() && end == word.data() + word.size();
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(separators, at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    at = end;
  }
  return parts;
}

// "1: POSIX  ADVISORY  READ 12345 08:01:131142 124 124"; the last word may be EOF. proc_locks(5).
std::optional<Lock> parse_lock(std::string_view line) {
  const auto words = split(line, " ");
  if (words.size() != 8 || words[1] != "POSIX") return std::nullopt;
  const auto file = split(words[5], ":");
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  Lock lock;
  lock.shared = words[3] == "READ";
  if (!read_number(words[4], lock.pid) || file.size() != 3 || !read_number(file[0], major, 16) ||
      !read_number(file[1], minor, 16) || !read_number(file[2], lock.file.inode) || !read_number(words[6], lock.first))
    return std::nullopt;
  lock.file.device = makedev(major, minor);
  if (words[7] == "EOF") {
    lock.last = UINT64_MAX;
  } else if (!read_number(words[7], lock.last)) {
    return std::nullopt;
  }
  return lock;
}

std::string command_of(int pid, const std::filesystem::path& procfs) {
  std::ifstream file(procfs / std::to_string(pid) / "comm");
  std::string name;
  std::getline(file, name);
  return name.empty() ? "its command is not visible here" : text::printable(name);
}

}  // namespace

std::vector<int> readers_in(std::string_view locks, const FileIdentity& index) {
  std::vector<Lock> found;
  for (const std::string_view line : split(locks, "\n")) {
    const auto lock = parse_lock(line);
    if (!lock || !lock->shared || lock->file.inode != index.inode) continue;
    if (lock->first <= last_read_lock && lock->last >= first_read_lock) found.push_back(*lock);
  }
  const auto same_device = [&](const Lock& lock) { return lock.file.device == index.device; };
  if (std::any_of(found.begin(), found.end(), same_device)) std::erase_if(found, std::not_fn(same_device));
  std::vector<int> pids;
  for (const Lock& lock : found) {
    if (std::find(pids.begin(), pids.end(), lock.pid) == pids.end()) pids.push_back(lock.pid);
  }
  return pids;
}

std::string readers_of(const std::filesystem::path& path, const std::filesystem::path& procfs) {
  std::ifstream file(procfs / "locks");
  const std::string locks{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<int> pids = readers_in(locks, identity_of(path.string() + "-shm"));
  std::stable_partition(pids.begin(), pids.end(), [](int pid) { return pid != ::getpid(); });
  std::string names;
  for (std::size_t n = 0; n < std::min(pids.size(), named_max); ++n) {
    if (n > 0) names += ", ";
    names += pids[n] == ::getpid() ? fmt::format("pid {} (a query of this daemon)", pids[n])
             : pids[n] == 0        ? std::string("a process of another PID namespace")
                                   : fmt::format("pid {} ({})", pids[n], command_of(pids[n], procfs));
  }
  return names.empty() ? "a process that is not visible here" : names;
}

}  // namespace perjoule::storage
