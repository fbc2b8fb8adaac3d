// Reads a file that another process may be writing, without locks and without waiting. Lanes only; not thread-safe.
//
// Only a regular file is read: it is opened without following a symbolic link and without blocking (open(2):
// O_NOFOLLOW, O_NONBLOCK), and its type is checked on the descriptor. A FIFO without a writer, a device or a directory
// under that name is an error and never blocks.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "collectors/result.hpp"

namespace perjoule {

class RegularFile {
 public:
  struct Content {
    std::string_view text;              // valid until the next read
    std::int64_t modified_seconds = 0;  // since the epoch
  };

  // The whole file. Errors: absent if it vanished; denied without permission or if it is a symbolic link; transient if
  // it is not a regular file, is longer than `limit` bytes, or changed while it was read.
  [[nodiscard]] Result<Content> read(const std::string& path, std::size_t limit);

  // Whether the file was written between two fstat(2) calls around a read of `bytes` bytes.
  [[nodiscard]] static bool changed(const struct stat& before, const struct stat& after, std::size_t bytes);

 private:
  std::string buffer_;
};

}  // namespace perjoule
