// LD_PRELOAD: fsync and fdatasync wait while the file named by STALL_DISK_WHILE exists, like a disk that does not
// answer.
#include <dlfcn.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

namespace {

int stalled(const char* name, int descriptor) {
  const char* file = std::getenv("STALL_DISK_WHILE");
  while (file != nullptr && ::access(file, F_OK) == 0)
    ::poll(nullptr, 0, 20);
  return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name))(descriptor);
}

}  // namespace

extern "C" int fsync(int descriptor) {
  return stalled("fsync", descriptor);
}

extern "C" int fdatasync(int descriptor) {
  return stalled("fdatasync", descriptor);
}
