// What the subcommands print. Each returns the process' exit code.
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
inline constexpr int exit_permission = 77;
inline constexpr int exit_configuration = 78;

// `once`: samples twice, one second apart. `format` is table, json or prometheus.
[[nodiscard]] int run_once(const config::Settings& settings, std::string_view format);

// `doctor`: every source with its state and remedy. 0 if all that exists works, 77 when all that fails is denied,
// else 1.
[[nodiscard]] int run_doctor(const config::Settings& settings);

// `accept-inventory`: the GPUs that are there now become the expected ones.
[[nodiscard]] int run_accept_inventory(const config::Settings& settings);

struct ExportRequest {
  std::string format = "openmetrics";  // or csv
  std::string from;                    // RFC 3339, or seconds since the epoch; "" = everything
  std::string to;
  std::string metric;
  std::vector<std::pair<std::string, std::string>> labels;
};
[[nodiscard]] int run_export(const config::Settings& settings, const ExportRequest& request);

// RFC 3339 in UTC (`2026-11-24T10:00:00Z`, `2026-11-24`), or seconds since the epoch; in milliseconds.
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text);

}  // namespace perjoule
