#include "daemon/commands/service_user.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <system_error>
#include <utility>

#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {

constexpr std::size_t unit_bytes_max = 65536;
// The first that has a file of a name wins.
constexpr std::array<std::string_view, 5> unit_directories = {"etc/systemd/system", "run/systemd/system",
                                                              "usr/local/lib/systemd/system", "usr/lib/systemd/system",
                                                              "lib/systemd/system"};

// Those that the unit and its drop-ins grant.
constexpr std::array<std::pair<std::string_view, unsigned>, 4> known_capabilities = {
    {{"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
     {"CAP_SYS_PTRACE", CAP_SYS_PTRACE},
     {"CAP_SYSLOG", CAP_SYSLOG},
     {"CAP_PERFMON", CAP_PERFMON}}};

std::vector<std::string> words(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  std::vector<std::string> found;
  while (true) {
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return found;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(blanks), text.size());
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::optional<std::string> read(const std::filesystem::path& file) {
  Result<std::string> text = sysfs::read_whole(file, unit_bytes_max);
  return text ? std::optional(*std::move(text)) : std::nullopt;
}

// The drop-ins of all directories by name; of two with one name that of the earlier directory holds.
std::map<std::string, std::filesystem::path> drop_ins(const std::filesystem::path& rootfs) {
  std::map<std::string, std::filesystem::path> found;
  for (const std::string_view directory : unit_directories) {
    std::error_code error;
    const std::filesystem::path folder = rootfs / directory / fmt::format("{}.d", service_unit);
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      if (at->path().extension() == ".conf") found.emplace(at->path().filename().string(), at->path());
    }
  }
  return found;
}

Error refused(const char* call) {
  return {Fault::denied, fmt::format("{}: {}", call, std::generic_category().message(errno))};
}

// glibc has no wrappers for these two. Both sets have two words of 32 capabilities.
Result<void> keep_capabilities(const ServiceUser& service) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return refused("capget");
  std::array<std::uint32_t, 2> granted{};
  for (const auto& [name, number] : known_capabilities) {
    if (std::find(service.capabilities.begin(), service.capabilities.end(), name) == service.capabilities.end())
      continue;
    granted[number / 32] |= 1U << (number % 32);
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    sets[i].permitted &= granted[i];
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return refused("capset");
  return {};
}

}  // namespace

std::string ServiceUser::text() const {
  return fmt::format("user {} with {} ({})", name,
                     capabilities.empty() ? "no capability" : fmt::format("{}", fmt::join(capabilities, ", ")),
                     service_unit);
}

ServiceUser parse_unit(const std::vector<std::string>& files) {
  constexpr std::string_view user = "User=";
  constexpr std::string_view ambient = "AmbientCapabilities=";
  ServiceUser service{"root", {}};
  for (std::string_view rest : files) {
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (line.starts_with(user)) {
        const std::vector<std::string> given = words(line.substr(user.size()));
        service.name = given.empty() ? "root" : given.front();
      } else if (line.starts_with(ambient)) {
        std::vector<std::string> given = words(line.substr(ambient.size()));
        if (given.empty()) service.capabilities.clear();  // an empty value resets the list
        for (std::string& capability : given) {
          if (std::find(service.capabilities.begin(), service.capabilities.end(), capability) ==
              service.capabilities.end())
            service.capabilities.push_back(std::move(capability));
        }
      }
    }
  }
  return service;
}

std::optional<ServiceUser> service_user(const std::filesystem::path& rootfs) {
  std::vector<std::string> files;
  for (const std::string_view directory : unit_directories) {
    std::optional<std::string> unit = read(rootfs / directory / service_unit);
    if (!unit) continue;
    files.push_back(*std::move(unit));
    break;
  }
  if (files.empty() || files.front().empty()) return std::nullopt;  // an empty file masks the unit
  for (const auto& [name, path] : drop_ins(rootfs)) {
    if (std::optional<std::string> text = read(path)) files.push_back(*std::move(text));
  }
  return parse_unit(files);
}

Result<void> become(const ServiceUser& service) {
  if (service.name == "root") return {};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread has been started yet
  const passwd* entry = ::getpwnam(service.name.c_str());
  if (entry == nullptr) return Error{Fault::absent, fmt::format("there is no user {}", service.name)};
  const uid_t user = entry->pw_uid;
  const gid_t group = entry->pw_gid;
  if (::initgroups(service.name.c_str(), group) != 0) return refused("initgroups");
  if (::setresgid(group, group, group) != 0) return refused("setresgid");
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return refused("prctl");
  if (::setresuid(user, user, user) != 0) return refused("setresuid");
  return keep_capabilities(service);
}

std::string own_user() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread has been started yet
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? fmt::format("the user with number {}", ::geteuid())
                          : fmt::format("user {}", entry->pw_name);
}

}  // namespace perjoule
