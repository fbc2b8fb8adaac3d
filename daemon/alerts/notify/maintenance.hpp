// The file that announces a maintenance: while one is on, alerts are evaluated, logged and shown, and nothing is sent.
// `perjouled maintenance on` writes it, and so may the prolog of a job:
//
//   maintenance.json in the storage directory:  { "until": 1795514400, "reason": "firmware update" }
//
// `until` is in seconds since the epoch or in RFC 3339; the maintenance ends by itself at that time. A reason is
// optional. A file that is not like this, or whose end lies more than maintenance_max_ms ahead, is refused, and then no
// maintenance is on: a mistake must not silence the alerts.
//
// All functions that take a path block on the file system; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "collectors/result.hpp"

namespace perjoule::alerts {

inline constexpr std::string_view maintenance_file = "maintenance.json";
inline constexpr std::int64_t maintenance_max_ms = std::int64_t{30} * 86'400'000;
inline constexpr std::size_t reason_max = 256;  // bytes

struct Maintenance {
  std::int64_t until_ms = 0;  // wall clock
  std::string reason;
  friend bool operator==(const Maintenance&, const Maintenance&) = default;
};

// Errors say what was read and what was expected.
[[nodiscard]] Result<Maintenance> parse_maintenance(std::string_view text, std::int64_t now_ms);
[[nodiscard]] std::string maintenance_text(const Maintenance& maintenance);

// What the file says, also when its end has passed. Nothing if there is no file.
[[nodiscard]] Result<std::optional<Maintenance>> read_maintenance(const std::filesystem::path& path,
                                                                  std::int64_t now_ms);
// Replaces the file in one step. It is readable for all, because root may write it for a daemon of another user; the
// directory keeps others out.
[[nodiscard]] Result<void> write_maintenance(const std::filesystem::path& path, const Maintenance& maintenance);
// Whether there was a file.
[[nodiscard]] Result<bool> remove_maintenance(const std::filesystem::path& path);

}  // namespace perjoule::alerts
