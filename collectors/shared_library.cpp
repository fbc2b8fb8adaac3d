#include "collectors/shared_library.hpp"

#include <dlfcn.h>

#include <string>
#include <string_view>
#include <utility>

namespace perjoule {

namespace {

// dlerror(3) gives a message and no code. "NAME: cannot open shared object file: REASON" is about the library itself
// when NAME is the one asked for; for a missing dependency NAME is the dependency.
Fault fault_of(std::string_view message, std::string_view asked) {
  if (!message.starts_with(asked) || message.find(": cannot open shared object file: ") != asked.size()) {
    return Fault::broken;
  }
  return message.ends_with("Permission denied") ? Fault::denied : Fault::absent;
}

}  // namespace

Result<SharedLibrary> SharedLibrary::open(const std::filesystem::path& path) {
  // dlopen(3) of an empty name would return the main program.
  if (path.empty()) return Error{Fault::absent, "the library's path is empty"};
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return SharedLibrary(handle);
  const char* message = ::dlerror();
  std::string what = message != nullptr ? message : path.native() + ": dlopen failed";
  const Fault fault = fault_of(what, path.native());
  return Error{fault, std::move(what)};
}

SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

SharedLibrary& SharedLibrary::operator=(SharedLibrary&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

void* SharedLibrary::address(const char* name) const {
  return handle_ != nullptr ? ::dlsym(handle_, name) : nullptr;
}

}  // namespace perjoule
