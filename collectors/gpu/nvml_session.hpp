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
  // `attach` false: NVML touches a board only at the first call for that board, so that a suspended one is not woken.
  // Errors: absent without the library; else the result of its initialisation, with the remedy.
  [[nodiscard]] static Result<std::shared_ptr<const Session>> open(const std::filesystem::path& path, bool attach);
  // With a table of functions instead of a library, for tests.
  [[nodiscard]] static Result<std::shared_ptr<const Session>> open(const Api& api, bool attach = true);

  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Session(Session&&) = delete;
  Session& operator=(Session&&) = delete;

  [[nodiscard]] const Api& api() const { return api_; }

 private:
  Session(std::optional<SharedLibrary> library, const Api& api) : library_(std::move(library)), api_(api) {}
  static Result<std::shared_ptr<const Session>> start(std::unique_ptr<Session> session, bool attach);
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

// The handle of the board at a PCI address as the kernel writes it.
[[nodiscard]] Result<Device> find_board(const Api& api, const std::string& address);

// NVML's "00000000:1B:00.0" as the kernel writes it: "0000:1b:00.0".
[[nodiscard]] std::string kernel_address(std::string_view bus_id);
[[nodiscard]] std::string kernel_address(const PciInfo& pci);

}  // namespace perjoule::nvml
