// The driver that the stand-in plays: the time, the state of the driver, and the valid handles. Thread-safe, as NVML
// is.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "collectors/gpu/nvml_api.hpp"
#include "tests/nvml/scenario.hpp"

// What NVML's opaque pointer points to here.
struct perjoule::nvml::DeviceHandle {
  std::size_t gpu = 0;
  double loaded_at = 0;  // when the driver was loaded that the handle belongs to
};

namespace perjoule::stand_in {

using nvml::Device;
using nvml::Return;

class Player {
 public:
  // Reads PERJOULE_NVML_SCENARIO and the other variables (README.md). An invalid scenario is reported on stderr, and
  // nvmlInit then returns NVML_ERROR_UNKNOWN.
  Player();

  Return init();
  Return shutdown();
  [[nodiscard]] const Scenario& scenario() const { return scenario_; }
  [[nodiscard]] double now() const;  // of the scenario, in seconds

  // Success if the library is initialised, and with the driver that is loaded now.
  Return usable() const;
  // Boards that the driver lists now.
  [[nodiscard]] std::vector<std::size_t> present() const;
  Return open(std::size_t gpu, Device* device);

  // Begins a call on a board: waits as long as the scenario says, then returns an error that all calls of this board
  // return now (lost, for instance). On success `gpu` is the board.
  Return enter(Device device, const Gpu*& gpu);
  // Millijoules since the driver was loaded.
  [[nodiscard]] Answer energy(const Gpu& gpu) const;
  // Nanoseconds since the driver was loaded in which a throttle reason was active.
  [[nodiscard]] double held_ns(const Gpu& gpu, const std::string& reason) const;

  // Counts the CPU time of the calling thread in a call (NVML_STAND_IN_ACCOUNT), so that a benchmark can subtract it.
  class Account {
   public:
    explicit Account(Player& player);
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

   private:
    Player& player_;
    std::int64_t began_ns_ = 0;
  };

 private:
  struct Driver {
    bool loaded = true;
    double loaded_at = -1e18;
  };
  [[nodiscard]] Driver driver(double seconds) const;
  [[nodiscard]] bool control(const std::string& name) const;
  [[nodiscard]] bool lost(std::size_t index, double seconds) const;
  [[nodiscard]] bool hangs(std::size_t index) const;
  void read_scenario();
  void hide_missing_symbols() const;

  Scenario scenario_;
  bool broken_ = false;
  double epoch_ = 0;  // of the scenario, in seconds since 1970
  std::filesystem::path time_file_, control_;
  std::atomic<std::int64_t>* account_ = nullptr;  // nanoseconds, calls
  mutable std::mutex mutex_;
  int initialised_ = 0;
  double session_ = 0;  // when the driver was loaded that the library was initialised with
  std::deque<nvml::DeviceHandle> handles_;
};

Player& player();

}  // namespace perjoule::stand_in
