#include "collectors/work/regular_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace perjoule {

namespace {

// Closes the descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

Error open_error(int number, const std::string& path) {
  if (number == ELOOP) {
    return Error{Fault::denied, fmt::format("{}: symbolic links are not followed", path),
                 "put the file itself into the directory, not a link to it"};
  }
  Error error = error_from_errno(number, path);
  if (error.fault == Fault::denied) error.remedy = fmt::format("chmod a+r {}", path);
  return error;
}

// Reads to the end, at most size + 1 bytes: the extra byte shows that the file has grown.
Result<std::size_t> read_up_to(int file, std::string& buffer, std::size_t size, const std::string& path) {
  if (buffer.size() < size + 1) buffer.resize(size + 1);
  std::size_t filled = 0;
  while (filled <= size) {
    const ssize_t count = ::read(file, buffer.data() + filled, size + 1 - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error_from_errno(errno, path);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

}  // namespace

bool RegularFile::changed(const struct stat& before, const struct stat& after, std::size_t bytes) {
  const auto same = [](const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; };
  return !same(before.st_mtim, after.st_mtim) || before.st_size != after.st_size ||
         after.st_size != static_cast<off_t>(bytes);
}

Result<RegularFile::Content> RegularFile::read(const std::string& path, std::size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return open_error(errno, path);
  struct stat before = {};
  if (::fstat(file.get(), &before) != 0) return error_from_errno(errno, path);
  if (!S_ISREG(before.st_mode)) {
    return Error{Fault::transient, fmt::format("{}: not a regular file", path), fmt::format("remove {}", path)};
  }
  if (before.st_size > static_cast<off_t>(limit)) {
    return Error{Fault::transient, fmt::format("{}: {} bytes; at most {} are read", path, before.st_size, limit)};
  }
  const Result<std::size_t> bytes = read_up_to(file.get(), buffer_, static_cast<std::size_t>(before.st_size), path);
  if (!bytes) return bytes.error();
  struct stat after = {};
  if (::fstat(file.get(), &after) != 0) return error_from_errno(errno, path);
  if (changed(before, after, *bytes)) {
    return Error{Fault::transient,
                 fmt::format("{}: changed while it was read; it is read again at the next tick", path),
                 "write to a temporary name and rename it to *.prom"};
  }
  return Content{std::string_view(buffer_).substr(0, *bytes), after.st_mtim.tv_sec};
}

}  // namespace perjoule
