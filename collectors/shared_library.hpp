// A shared object opened by path or soname, closed by the destructor. For vendors' libraries that must not be linked,
// because the daemon also runs on hosts without them.
//
// `open` runs the library's constructors and may block: lanes only. Looking up symbols is thread-safe, as dlsym(3) is.
#pragma once

#include <filesystem>
#include <type_traits>

#include "collectors/result.hpp"

namespace perjoule {

class SharedLibrary {
 public:
  // Errors: absent where there is no such library, denied where it may not be read, broken where it exists and does not
  // load (wrong architecture, missing dependency).
  [[nodiscard]] static Result<SharedLibrary> open(const std::filesystem::path& path);
  ~SharedLibrary();
  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&& other) noexcept;
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  // library.symbol<double(double)>("cos"); null where the library does not have it. The caller must pass the right
  // type: it cannot be checked. Valid as long as this object.
  template <class Function>
  requires std::is_function_v<Function>
  [[nodiscard]] Function* symbol(const char* name) const { return reinterpret_cast<Function*>(address(name)); }

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* address(const char* name) const;
  void* handle_ = nullptr;
};

}  // namespace perjoule
