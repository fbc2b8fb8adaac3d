#include "storage/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "storage/sqlite/file_mode.hpp"

namespace perjoule::storage {

namespace {

Error not_usable(int number, const std::filesystem::path& what, const std::filesystem::path& directory) {
  Error error = error_from_errno(number, what.string());
  error.fault = number == EACCES || number == EPERM || number == EROFS ? Fault::denied : Fault::transient;
  if (number == ENOTDIR) {
    error.remedy = "a part of this path is a file, not a directory: move the file, or choose another --storage.path";
  } else if (number == ELOOP) {
    error.what = what.string() + ": not a regular file, but a link or a device";
    error.remedy = fmt::format("remove it: sudo rm {}", what.string());
  } else if (number == ENOSPC) {
    error.remedy = "free space on that file system";
  } else if (number == EROFS) {
    error.remedy = fmt::format(
        "mount that file system read-write, choose another --storage.path, or run with --no-storage; a systemd unit "
        "with ProtectSystem=strict needs ReadWritePaths={} in a drop-in",
        directory.string());
  } else {
    // By number: the daemon's user need not have a name that is known here.
    error.remedy = fmt::format("sudo install -d -m 0750 -o {1} -g {2} {0}; sudo chown -R {1}:{2} {0}",
                               directory.string(), ::geteuid(), ::getegid());
  }
  return error;
}

// Files of root are as safe as the process itself: root could do anything to it anyway.
bool is_trusted(const struct stat& status) {
  return status.st_uid == ::geteuid() || status.st_uid == 0;
}

Error owned_by_another(uid_t owner, const std::filesystem::path& what, const std::filesystem::path& directory) {
  return {Fault::denied,
          fmt::format("{}: owned by the user with number {}, who could replace what the daemon (user {}) stores there",
                      what.string(), owner, ::geteuid()),
          fmt::format("run the daemon as that user (sudo -u '#{0}' perjouled), choose another --storage.path, or give "
                      "the files to the daemon's user: sudo chown -R {1}: {2}",
                      owner, ::geteuid(), directory.string())};
}

// mkdir -p with mode 0750. It is no error if another process creates a directory at the same time.
int make_directories(const std::filesystem::path& path) {
  std::filesystem::path so_far;
  for (const auto& part : path) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), 0750) == 0 || errno == EEXIST) continue;
    const int number = errno;
    struct stat status {};
    if (::stat(so_far.c_str(), &status) != 0) return number;  // mkdir("/") on a read-only root fails with EROFS
  }
  return 0;
}

std::string pid_in(int lock) {
  std::array<char, 32> text{};
  const auto size = ::pread(lock, text.data(), text.size(), 0);
  std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  pid.erase(pid.find_last_not_of(" \n") + 1);
  return pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos ? "unknown" : pid;
}

}  // namespace

Result<Directory> Directory::claim(const std::filesystem::path& path) {
  if (const int number = make_directories(path); number != 0) return not_usable(number, path, path);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return not_usable(errno, path, path);
  if (!is_trusted(status)) return owned_by_another(status.st_uid, path, path);
  const auto file = path / "lock";
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
  if (lock < 0) return not_usable(errno, file, path);
  Directory directory(path, lock);
  if (::fstat(lock, &status) != 0) return not_usable(errno, file, path);
  if (!S_ISREG(status.st_mode)) return not_usable(ELOOP, file, path);
  if (!is_trusted(status)) return owned_by_another(status.st_uid, file, path);
  narrow(file);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return not_usable(errno, file, path);
    return Error{Fault::denied, fmt::format("{}: in use by the process with pid {}", path.string(), pid_in(lock)),
                 "stop that process (systemctl stop perjouled), or give this one another --storage.path"};
  }
  // The pid is needed only for the error message above, so the claim holds even if a full disk prevents writing it.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock, 0) == 0) [[maybe_unused]]
    auto written = ::pwrite(lock, pid.data(), pid.size(), 0);
  return directory;
}

std::optional<int> Directory::holder(const std::filesystem::path& path) {
  const int lock = ::open((path / "lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (lock < 0) return std::nullopt;
  std::optional<int> pid;
  if (::flock(lock, LOCK_SH | LOCK_NB) != 0) {
    const std::string text = pid_in(lock);
    pid = 0;
    std::from_chars(text.data(), text.data() + text.size(), *pid);
  }
  ::close(lock);
  return pid;
}

Directory::~Directory() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace perjoule::storage
