// Small bounded reads of the kernel's virtual files.
//
// A read is one read(2) into 4 KiB, without poll: some hwmon drivers return EAGAIN, and a reader that waits for
// readiness would wait for ever. A File keeps its descriptor open and reads at offset 0 (pread), which saves an open
// per tick; beyond keep_open_at_most() in the process it opens its path for each read. A file that cannot seek (a FIFO
// in a fixture) is read sequentially. After an error or an empty read the descriptor is closed, and the next read opens
// the path again (the device may have been replaced). May block as long as the driver does: lanes only. Not
// thread-safe. Errors: those of error_from_errno(); a value that is too long or malformed is transient.
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

// How many Files may keep their descriptor between reads; without a call, all. Any thread.
void keep_open_at_most(std::size_t files);

class File {
 public:
  explicit File(std::filesystem::path path) : path_(std::move(path)) {}
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // The whole content without trailing white space. Longer than text_max: an error. Valid until the next read.
  [[nodiscard]] Result<std::string_view> text();
  // At most the first `bytes`, unchanged: for files whose head is enough (/proc/stat). Keeps a buffer of that size.
  [[nodiscard]] Result<std::string_view> head(std::size_t bytes);
  [[nodiscard]] Result<std::int64_t> integer();
  [[nodiscard]] Result<std::uint64_t> unsigned_integer();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  // Number of bytes read into `to`; the descriptor stays open only if there were any and it may be kept.
  Result<std::size_t> read(char* to, std::size_t bytes);
  void close();
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool kept_ = false;  // counted among those that stay open
  std::string buffer_;
};

// One-time reads of names and limits. Trailing white space is removed. Only regular files are read: a FIFO or a device
// node is an error and never blocks, so an Entry's make() may call these.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);
[[nodiscard]] Result<std::int64_t> read_integer(const std::filesystem::path& path);
// For files longer than a page: the whole content, unchanged. Longer than `limit` bytes: an error.
[[nodiscard]] Result<std::string> read_whole(const std::filesystem::path& path, std::size_t limit);

// Checks that a file can be opened for reading, without reading it. Only a regular file is opened.
[[nodiscard]] Result<void> readable(const std::filesystem::path& path);

// Decimal, optional sign, trailing white space allowed. Overflow and any other character are errors.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] Result<std::uint64_t> parse_unsigned(std::string_view text);
// A CPU list such as "0-3,8,10-11" (Documentation/admin-guide/cputopology.rst): at most 8192 numbers.
[[nodiscard]] Result<std::vector<unsigned>> parse_cpu_list(std::string_view text);

// Names in a directory, in natural order (hwmon2 before hwmon10). Error absent where the directory does not exist.
[[nodiscard]] Result<std::vector<std::string>> list(const std::filesystem::path& directory);

}  // namespace perjoule::sysfs
