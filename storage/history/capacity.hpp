// How far back each resolution reaches within a budget, at the present rate.
//
// The rate is what the last whole hour left in the file: it is known about an hour and a half after a first start. One
// thread at a time; reads the file once an hour.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

inline constexpr std::int64_t hour_row_bytes = 64;  // of roll_1h, with its place in the tree
// What raw samples, minutes and hours own of the budget; what one does not use the others may.
inline constexpr std::array resolution_shares = {4.0 / 8, 3.0 / 8, 1.0 / 8};

// By resolution: the age at which it goes, or the one to which `bytes` hold it with `per_hour` bytes each hour,
// whichever is less. An age of 0, and INT64_MAX bytes: no limit; a result of 0: no limit at all.
[[nodiscard]] PerResolution<std::int64_t> reach_ms(const PerResolution<double>& per_hour,
                                                   const PerResolution<std::int64_t>& ages_ms, std::int64_t bytes);

class Capacity {
 public:
  // Looks at the hour that is whole at `now_ms`, if it has not yet.
  [[nodiscard]] Result<void> look(Connection& connection, std::int64_t now_ms);
  // Bytes of each resolution that an hour adds; none before it is known.
  [[nodiscard]] const std::optional<PerResolution<double>>& per_hour() const { return per_hour_; }

 private:
  std::int64_t hour_ = 0;  // of the epoch, looked at last
  std::optional<PerResolution<double>> per_hour_;
};

}  // namespace perjoule::storage
