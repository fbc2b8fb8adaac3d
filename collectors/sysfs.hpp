// Small bounded reads of the kernel's virtual files.
//
// read(2) once into 4 KiB and never poll: some hwmon drivers answer EAGAIN, and a reader that waits for readiness would
// wait for ever. A File keeps its descriptor open and reads at offset 0 (pread), which is what makes a tick cheap; a
// file that cannot seek (a FIFO in a fixture) is read as it comes. After an error or an empty read the descriptor is
// closed and the path opened anew at the next read. May block as long as the driver does: lanes only. Not thread-safe.
// Source: Documentation/filesystems/sysfs.rst (one value per file, at most one page).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"

namespace perjoule::sysfs {

inline constexpr std::size_t text_max = 4096;

class File {
 public:
  explicit File(std::filesystem::path path) : path_(std::move(path)) {}
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // The whole text without trailing white space. Longer than text_max: an error.
  [[nodiscard]] Result<std::string_view> text();
  // The first `bytes` at most, as they stand: for files whose head is enough (/proc/stat). Keeps a buffer of that size.
  [[nodiscard]] Result<std::string_view> head(std::size_t bytes);
  [[nodiscard]] Result<std::int64_t> integer();
  [[nodiscard]] Result<std::uint64_t> unsigned_integer();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  // Bytes read into `to`; the descriptor is open afterwards only if there were some.
  Result<std::size_t> read(char* to, std::size_t bytes);
  void close();
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::string buffer_;
};

// One-time reads of names and limits. Trailing white space is cut. Only regular files are read: a FIFO or a device node
// in their place is an error and never blocks, so make() may call them.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);
[[nodiscard]] Result<std::int64_t> read_integer(const std::filesystem::path& path);
// Files that are longer than a page: read whole as they stand; longer than `limit` bytes is an error.
[[nodiscard]] Result<std::string> read_whole(const std::filesystem::path& path, std::size_t limit);

// Whether a value could be read, without reading it: absent, denied, or fine. Only a regular file is opened.
[[nodiscard]] Result<void> readable(const std::filesystem::path& path);

// Decimal, optional sign, nothing behind it. Overflow and stray text are errors.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] Result<std::uint64_t> parse_unsigned(std::string_view text);
// "0-3,8,10-11" (Documentation/admin-guide/cputopology.rst): at most 8192 numbers.
[[nodiscard]] Result<std::vector<unsigned>> parse_cpu_list(std::string_view text);

// Names in a directory, sorted in natural order (hwmon2 before hwmon10); absent where it does not exist.
[[nodiscard]] Result<std::vector<std::string>> list(const std::filesystem::path& directory);

}  // namespace perjoule::sysfs
