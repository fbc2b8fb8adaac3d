// The NVML library, opened and initialised; the destructor shuts it down. NVML counts initialisations, so several
// sessions may be open at once. Device handles must not outlive their session. Everything here may block: lanes only.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "collectors/gpu/nvml_api.hpp"

namespace perjoule::nvml {

class Session {
 public:
  // NVML is initialised without attaching to the boards: a board is touched only by the first call for it, so that one
  // that hangs does not hold the initialisation, and a suspended one is not woken. A driver that is too old for this is
  // refused where a board is `suspended`.
  // Errors: absent without the library; else the result of its initialisation, with the remedy.
  [[nodiscard]] static Result<std::shared_ptr<const Session>> open(const std::filesystem::path& path, bool suspended);
  // With a table of functions instead of a library, for tests.
  [[nodiscard]] static Result<std::shared_ptr<const Session>> open(const Api& api, bool suspended = false);

  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Session(Session&&) = delete;
  Session& operator=(Session&&) = delete;

  [[nodiscard]] const Api& api() const { return api_; }

 private:
  Session(std::optional<SharedLibrary> library, const Api& api) : library_(std::move(library)), api_(api) {}
  static Result<std::shared_ptr<const Session>> start(std::unique_ptr<Session> session, bool suspended);
  std::optional<SharedLibrary> library_;
  Api api_;
  bool initialised_ = false;
};

// A string that the library writes (name, UUID, version); "" where the call fails.
template <class Call>
[[nodiscard]] std::string text_of(Call call) {
  char text[96] = {};  // the largest size that NVML documents (a UUID of version 2)
  if (call(text, static_cast<std::uint32_t>(sizeof(text))) != Return::success) return {};
  text[sizeof(text) - 1] = '\0';
  return text;
}

// Where a board is: its PCI address as the kernel writes it, else NVML's index. Where sysfs lists the boards their
// address is known before NVML is called; in some containers, and for the integrated GPU of a Jetson, only the index
// is.
struct Place {
  std::string address;
  std::uint32_t index = 0;  // used when `address` is empty
};
[[nodiscard]] std::string name(const Place& place);  // "0000:1b:00.0" or "index 3"
[[nodiscard]] Result<Device> find_board(const Api& api, const Place& place);

// NVML's "00000000:1B:00.0" as the kernel writes it: "0000:1b:00.0".
[[nodiscard]] std::string kernel_address(std::string_view bus_id);
[[nodiscard]] std::string kernel_address(const PciInfo& pci);

}  // namespace perjoule::nvml
