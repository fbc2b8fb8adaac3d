// A shared object opened by path or soname, closed when its owner dies. For vendors' libraries that must not be linked:
// a host without them still runs the daemon.
//
// `open` runs the library's constructors and may block: lanes only. Not thread-safe beyond what dlsym(3) promises.
#pragma once

#include <filesystem>
#include <type_traits>

#include "collectors/result.hpp"

namespace perjoule {

class SharedLibrary {
 public:
  // Errors: absent where there is no such library, denied where it may not be read, broken where it is there and does
  // not load (another architecture, a dependency missing).
  [[nodiscard]] static Result<SharedLibrary> open(const std::filesystem::path& path);
  ~SharedLibrary();
  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&& other) noexcept;
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  // library.symbol<double(double)>("cos"); null where the library does not have it. The type is the caller's word.
  // Valid as long as the library is.
  template <class Function>
  requires std::is_function_v<Function>
  [[nodiscard]] Function* symbol(const char* name) const { return reinterpret_cast<Function*>(address(name)); }

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* address(const char* name) const;
  void* handle_ = nullptr;
};

}  // namespace perjoule
