// Looks at the file of a maintenance (maintenance.hpp) on a lane, because the disk may hang. Loop's thread only.
//
// While the disk does not answer, the last known state holds, and ends at its time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/alerts/notify/maintenance.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"

namespace perjoule::alerts {

class MaintenanceWatch {
 public:
  // Reads the file at once, before the loop runs: an alert must not be sent between the start and the first look(). An
  // empty path: there is no file, and no maintenance. `on_read` is called after each later read.
  MaintenanceWatch(MakeLane make_lane, const Clock& clock, std::filesystem::path path,
                   std::function<void()> on_read = {});

  // Call once a second: begins to read the file, unless the last read has not returned.
  void look();
  // The maintenance that is on.
  [[nodiscard]] std::optional<Maintenance> on() const;
  // Why the file is refused, and what to do; nothing if it is right or missing.
  [[nodiscard]] const std::optional<Error>& refused() const { return state_.refused; }

 private:
  struct State {
    std::optional<Maintenance> announced;
    std::optional<Error> refused;
  };
  static State read(const std::filesystem::path& path, std::int64_t now_ms);

  MakeLane make_lane_;
  const Clock& clock_;
  std::filesystem::path path_;
  std::function<void()> on_read_;
  std::unique_ptr<Lane> lane_;
  State state_;
};

}  // namespace perjoule::alerts
