// The GPUs of this host: how many answer, how many are expected, and the slot numbers that they keep across restarts.
//
// Loop's thread only; the request of accept-inventory, a file, is looked for and removed on a lane. The inventory is
// shared with the lanes, which is why it is thread-safe; the roster saves it as a state of the ledger
// ("inventory/gpus").
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "collectors/batch.hpp"
#include "collectors/inventory.hpp"
#include "collectors/sample.hpp"
#include "config/settings.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/base/log.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

// A file of this name in the storage directory requests that the daemon accepts the GPUs present (`accept-inventory`).
inline constexpr std::string_view accept_request = "accept-inventory";

// Whether a source's devices are GPUs: those that the inventory numbers.
[[nodiscard]] bool is_gpu_source(std::string_view source);

class GpuRoster {
 public:
  // All references outlive the roster. `directory` is the storage directory, where requests are left; empty without
  // storage, and then no lane is made.
  GpuRoster(Ledger& ledger, Recorder& recorder, const Sources& sources, Log& log, MakeLane make_lane,
            std::filesystem::path directory);

  [[nodiscard]] const std::shared_ptr<Inventory>& inventory() const { return inventory_; }

  // Once per second: shows both counts, saves a changed inventory, and accepts the inventory if that is requested and
  // every source has had its first call.
  void tick(const Stamp& now, const config::Settings& settings);
  // Checks whether accept-inventory has left a request, for a later tick(); called at the start and at each reload.
  void look_for_request();

 private:
  struct Request;
  void accept();
  void visit_directory();
  void visited(const Request& request);

  Ledger& ledger_;
  Recorder& recorder_;
  const Sources& sources_;
  Log& log_;
  MakeLane make_lane_;
  std::unique_ptr<Lane> lane_;  // while it looks for the request or removes it
  std::filesystem::path directory_;
  std::shared_ptr<Inventory> inventory_ = std::make_shared<Inventory>();
  std::uint64_t kept_version_ = 0;
  ProbeId probe_;
  Batch batch_;
  bool requested_ = false;
  bool executed_ = false;    // the request is to be removed
  bool look_again_ = false;  // after the visit under way
};

}  // namespace perjoule
