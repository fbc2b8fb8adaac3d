#include "collectors/gpu/nvml_session.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "config/text.hpp"

namespace perjoule::nvml {

Result<std::shared_ptr<const Session>> Session::open(const std::filesystem::path& path, bool suspended) {
  Result<SharedLibrary> library = SharedLibrary::open(path);
  if (!library) return library.error();
  const Api api = load(*library);
  return start(std::unique_ptr<Session>(new Session(std::move(*library), api)), suspended);
}

Result<std::shared_ptr<const Session>> Session::open(const Api& api, bool suspended) {
  return start(std::unique_ptr<Session>(new Session(std::nullopt, api)), suspended);
}

Result<std::shared_ptr<const Session>> Session::start(std::unique_ptr<Session> session, bool suspended) {
  const Api& api = session->api_;
  if (api.init == nullptr || api.device_by_index == nullptr) {
    return Error{Fault::broken, "the NVML library lacks nvmlInit_v2 or nvmlDeviceGetHandleByIndex_v2",
                 "install a driver of 2015 or newer, or set --path.nvml to its libnvidia-ml.so.1"};
  }
  if (api.init_with_flags == nullptr && suspended) {
    return Error{Fault::absent,
                 "a GPU is runtime-suspended, and this driver is too old to be initialised without waking it "
                 "(no nvmlInitWithFlags)"};
  }
  const bool attach = api.init_with_flags == nullptr;
  const Return result = attach ? api.init() : api.init_with_flags(no_attach);
  if (result != Return::success) return error_of(result, attach ? "nvmlInit_v2" : "nvmlInitWithFlags", {});
  session->initialised_ = true;
  return std::shared_ptr<const Session>(std::move(session));
}

Session::~Session() {
  if (initialised_ && api_.shutdown != nullptr) api_.shutdown();
}

std::string name(const Place& place) {
  return place.address.empty() ? fmt::format("index {}", place.index) : place.address;
}

Result<Device> find_board(const Api& api, const Place& place) {
  const std::string& address = place.address;
  Device board = nullptr;
  if (address.empty()) {
    const Return result = api.device_by_index(place.index, &board);
    if (result != Return::success) return error_of(result, "nvmlDeviceGetHandleByIndex_v2", {});
    return board;
  }
  if (api.device_by_pci != nullptr) {
    const Return result = api.device_by_pci(address.c_str(), &board);
    if (result != Return::success) return error_of(result, "nvmlDeviceGetHandleByPciBusId_v2", address);
    return board;
  }
  std::uint32_t boards = 0;
  if (api.device_count == nullptr || api.device_pci == nullptr) {
    return error_of(Return::function_not_found, "nvmlDeviceGetPciInfo_v3", address);
  }
  if (const Return result = api.device_count(&boards); result != Return::success) {
    return error_of(result, "nvmlDeviceGetCount_v2", address);
  }
  for (std::uint32_t i = 0; i < boards; ++i) {
    PciInfo pci{};
    if (api.device_by_index(i, &board) != Return::success || api.device_pci(board, &pci) != Return::success) continue;
    if (kernel_address(pci) == address) return board;
  }
  return error_of(Return::not_found, "nvmlDeviceGetHandleByIndex_v2", address);
}

// strnlen: the driver may fill the whole array without a NUL.
std::string kernel_address(const PciInfo& pci) {
  return kernel_address(std::string_view(pci.bus_id, strnlen(pci.bus_id, sizeof(pci.bus_id))));
}

std::string kernel_address(std::string_view bus_id) {
  std::string address = text::lower(bus_id.substr(0, 31));
  if (address.size() == 16 && address.starts_with("0000")) address.erase(0, 4);
  return address;
}

}  // namespace perjoule::nvml
