// The GPUs of this host: how many answer, how many should, and the numbers that they keep over restarts.
//
// Loop's thread only. The inventory itself is shared with the lanes; its text is a state of the ledger.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "collectors/batch.hpp"
#include "collectors/inventory.hpp"
#include "collectors/sample.hpp"
#include "config/settings.hpp"
#include "daemon/base/log.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

// A file of this name in the storage directory asks the daemon to accept the GPUs that it sees (`accept-inventory`).
inline constexpr std::string_view accept_request = "accept-inventory";

// Whether a source's devices are GPUs: those that the inventory numbers.
[[nodiscard]] bool is_gpu_source(std::string_view source);

class GpuRoster {
 public:
  // Everything outlives the roster. `directory` is where requests lie; empty without storage.
  GpuRoster(Ledger& ledger, Recorder& recorder, const Sources& sources, Log& log, std::filesystem::path directory);

  [[nodiscard]] const std::shared_ptr<Inventory>& inventory() const { return inventory_; }

  // Once per second: shows both counts, keeps what changed, and does what was asked for once every source has settled.
  void tick(const Stamp& now, const config::Settings& settings);
  // Looks whether accept-inventory has left a request: at the start and at each reload.
  void look_for_request();

 private:
  void accept();
  Ledger& ledger_;
  Recorder& recorder_;
  const Sources& sources_;
  Log& log_;
  std::filesystem::path directory_;
  std::shared_ptr<Inventory> inventory_ = std::make_shared<Inventory>();
  std::uint64_t kept_version_ = 0;
  ProbeId probe_;
  Batch batch_;
  bool requested_ = false;
};

}  // namespace perjoule
