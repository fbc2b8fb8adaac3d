// Reads a file that somebody else may be writing, without waiting for anybody. Lanes only; not thread-safe.
//
// Only a regular file is read: it is opened without following a symbolic link and without blocking, then looked at. A
// FIFO without a writer, a device or a directory under that name costs nothing.
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
    std::string_view text;              // until the next read
    std::int64_t modified_seconds = 0;  // since the epoch
  };

  // The whole file. Absent: it vanished. Denied: no permission, or a symbolic
  // link. Transient: something else than a file, longer than `limit` bytes, or changed while it was read.
  [[nodiscard]] Result<Content> read(const std::string& path, std::size_t limit);

  // Did somebody write between two looks, of which the second found `bytes` to read?
  [[nodiscard]] static bool changed(const struct stat& before, const struct stat& after, std::size_t bytes);

 private:
  std::string buffer_;
};

}  // namespace perjoule
