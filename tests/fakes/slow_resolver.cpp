// LD_PRELOAD: looking up a name that ends in ".hangs" never returns; other names are looked up as ever.
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include <string_view>

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto next = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  while (name != nullptr && std::string_view(name).ends_with(".hangs"))
    pause();
  return next(name, service, hints, found);
}
