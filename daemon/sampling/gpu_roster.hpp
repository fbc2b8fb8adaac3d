// The GPUs of this host: how many answer, how many are expected, and the slot numbers that they keep across restarts.
//
// Loop's thread only; the request of accept-inventory, a file, is looked for and removed on a lane. The inventory is
// shared with the lanes, which is why it is thread-safe; the roster saves it as a state of the ledger
// ("inventory/gpus").
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/inventory.hpp"
#include "collectors/sample.hpp"
#include "config/settings.hpp"
#include "daemon/base/clock.hpp"
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
  // storage, and then no lane is made. The sources get the labels of GPUs from it (labels_of).
  GpuRoster(Ledger& ledger, Recorder& recorder, Sources& sources, Log& log, MakeLane make_lane,
            std::filesystem::path directory);

  [[nodiscard]] const std::shared_ptr<Inventory>& inventory() const { return inventory_; }

  // A GPU that has not answered for this long is lost. A reboot of a GPU or a reload of its driver takes less.
  static constexpr std::int64_t patience_ns = 180 * nanoseconds_per_second;

  // Once per second: shows the counts and which GPUs are lost, saves a changed inventory, and accepts the inventory if
  // that is requested and every source has had its first call.
  void tick(const Stamp& now, const config::Settings& settings);
  // Which board of the inventory a device is: devices of GPU sources are named by UUID or, until it is known, by place.
  [[nodiscard]] Sources::GpuLabels labels_of(std::string_view source, std::string_view device) const;
  // Checks whether accept-inventory has left a request, for a later tick(); called at the start and at each reload.
  void look_for_request();

 private:
  struct Request;
  // A board for as long as perjoule_gpu_lost has it.
  struct Watch {
    Inventory::Board board;
    std::int64_t answered_ns = 0;  // steady clock: the last time, or the first look at it
    std::optional<bool> lost;      // none: not known yet
    std::int64_t left_ns = 0;      // steady clock: since when it is no longer in the inventory; 0: it is
  };
  void accept();
  void visit_directory();
  void visited(const Request& request);
  [[nodiscard]] std::pair<bool, bool> heard_of(const Inventory::Board& board) const;
  void look(const Stamp& now, std::optional<std::size_t> configured);
  void show_lost(std::size_t expected);
  Ledger& ledger_;
  Recorder& recorder_;
  const Sources& sources_;
  Log& log_;
  MakeLane make_lane_;
  std::unique_ptr<Lane> lane_;  // while it looks for the request or removes it
  std::filesystem::path directory_;
  std::shared_ptr<Inventory> inventory_ = std::make_shared<Inventory>();
  std::vector<Watch> watched_;
  std::uint64_t kept_version_ = 0;
  ProbeId probe_;
  Batch batch_;
  bool requested_ = false;
  bool executed_ = false;    // the request is to be removed
  bool look_again_ = false;  // after the visit under way
};

}  // namespace perjoule
