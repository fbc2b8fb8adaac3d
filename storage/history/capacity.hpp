// Estimates how far back each resolution reaches within the size limit, at the present data rate.
//
// The rate is what the last whole hour added to the file, so it is known one and a half to two and a half hours after
// the first start. Read from the file once an hour. One thread at a time (the writer). Sizes in bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

inline constexpr std::int64_t hour_row_bytes = 64;  // estimated size of a roll_1h row, including the B-tree around it
// The shares of raw samples, minutes and hours in the size limit. What one does not use is lent to the others.
inline constexpr std::array resolution_shares = {4.0 / 8, 3.0 / 8, 1.0 / 8};

// For each resolution, how far back it reaches: its maximum age `ages_ms`, or what fits into `bytes` at `per_hour`
// bytes an hour, whichever is less. An age of 0 or INT64_MAX bytes is no limit; a result of 0 means no limit at all.
[[nodiscard]] PerResolution<std::int64_t> reach_ms(const PerResolution<double>& per_hour,
                                                   const PerResolution<std::int64_t>& ages_ms, std::int64_t bytes);

class Capacity {
 public:
  // Measures the newest hour that is completely sealed at `now_ms`, unless it has done so already.
  [[nodiscard]] Result<void> look(Connection& connection, std::int64_t now_ms);
  // Bytes that an hour adds to each resolution; nullopt until it is known.
  [[nodiscard]] const std::optional<PerResolution<double>>& per_hour() const { return per_hour_; }

 private:
  std::int64_t hour_ = 0;  // the hour measured last, counted from the epoch
  std::optional<PerResolution<double>> per_hour_;
};

}  // namespace perjoule::storage
