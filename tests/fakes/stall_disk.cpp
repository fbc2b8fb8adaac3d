// LD_PRELOAD: a disk that does not answer. While the file named by STALL_DISK_WHILE exists, fsync and fdatasync wait,
// and so does the opening of a file whose path contains STALL_DISK_OPEN.
#include <dlfcn.h>
#include <linux/fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

void stall() {
  const char* file = std::getenv("STALL_DISK_WHILE");
  while (file != nullptr && ::access(file, F_OK) == 0)
    ::poll(nullptr, 0, 20);
}

int synced(const char* name, int descriptor) {
  stall();
  return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name))(descriptor);
}

int opened(const char* name, const char* path, int flags, unsigned mode) {
  const char* part = std::getenv("STALL_DISK_OPEN");
  if (part != nullptr && std::strstr(path, part) != nullptr) stall();
  return reinterpret_cast<int (*)(const char*, int, ...)>(::dlsym(RTLD_NEXT, name))(path, flags, mode);
}

// The mode of open(2), which is there only where a file may be made.
unsigned mode_of(int flags, std::va_list& arguments) {
  return (flags & O_CREAT) != 0 || (flags & __O_TMPFILE) != 0 ? va_arg(arguments, unsigned) : 0;
}

}  // namespace

extern "C" int fsync(int descriptor) {
  return synced("fsync", descriptor);
}

extern "C" int fdatasync(int descriptor) {
  return synced("fdatasync", descriptor);
}

extern "C" int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened("open", path, flags, mode);
}

extern "C" int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened("open64", path, flags, mode);
}
