// The subcommands. Each prints to stdout, errors to stderr, may block, and returns the exit code of the process. On the
// main thread only; no daemon loop runs in the same process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/loader.hpp"

namespace perjoule {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_permission = 77;     // EX_NOPERM of sysexits.h
inline constexpr int exit_configuration = 78;  // EX_CONFIG

// `once`: samples twice, one second apart, because power is the difference of two counter readings, and prints a
// verdict with a table (`format` json: all samples with the verdict; prometheus: all samples). `watch`: prints again
// each second, until SIGINT or SIGTERM. `replay`: a recorded host in place of this one (replay.hpp); of several seconds
// all are read, and `watch` ends with the last.
struct OnceRequest {
  std::string format = "table";  // or json, prometheus
  bool watch = false;
  std::string replay;  // the directory; "": none
};
[[nodiscard]] int run_once(const config::Settings& settings, const OnceRequest& request);

// `doctor`: a verdict and every device with its state and remedy (`format` text or json), for the user of the service:
// as root this process becomes that user, and a daemon that runs is asked for its states. Exit code 1 if something that
// exists is not read, else 0. Absent sources do not count.
[[nodiscard]] int run_doctor(const config::Settings& settings, std::string_view format);

// `accept-inventory`: makes the GPUs that are present now the expected inventory.
[[nodiscard]] int run_accept_inventory(const config::Settings& settings);

// `maintenance`: while one is on, the daemon evaluates and shows alerts and sends none.
struct MaintenanceRequest {
  std::string action;    // on, off; "": show the state
  std::string duration;  // as the configuration writes one, 1s to 30d; "": 2h
  std::string reason;
};
[[nodiscard]] int run_maintenance(const config::Settings& settings, const MaintenanceRequest& request);

struct ExportRequest {
  std::string format = "openmetrics";  // or csv
  std::string from;                    // as parse_time() reads it; "": no limit
  std::string to;
  std::string metric;  // "": all
  std::vector<std::pair<std::string, std::string>> labels;
};
[[nodiscard]] int run_export(const config::Settings& settings, const ExportRequest& request);

// RFC 3339 (`2026-11-24T10:00:00Z`), a date (`2026-11-24`: its midnight in UTC), or seconds since the epoch. Returns
// milliseconds since the epoch.
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text);

}  // namespace perjoule
