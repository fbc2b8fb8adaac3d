#include "storage/history/capacity.hpp"

#include <fmt/format.h>

#include "storage/codec/rollup.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t hour_slots = hour_ms / slot_ms;
constexpr std::int64_t until_sealed_ms = 2 * slot_ms;  // from the end of an hour until it is sealed, which is staggered

}  // namespace

PerResolution<std::int64_t> reach_ms(const PerResolution<double>& per_hour, const PerResolution<std::int64_t>& ages_ms,
                                     std::int64_t bytes) {
  const auto hours_of = [](std::int64_t span_ms) {
    return static_cast<double>(span_ms) / static_cast<double>(hour_ms);
  };
  PerResolution<std::int64_t> reach = ages_ms;
  if (bytes == INT64_MAX) return reach;
  PerResolution<bool> settled{};
  auto left = static_cast<double>(bytes);
  double shares = 1;
  // A resolution that needs less than its share leaves the rest to the others, which then may need less than theirs.
  for (bool again = true; again;) {
    again = false;
    const double whole = left / shares;
    for (std::size_t n = 0; n < reach.size(); ++n) {
      const double needs = per_hour[n] * hours_of(ages_ms[n]);
      const bool ends = ages_ms[n] > 0 || per_hour[n] <= 0;
      if (settled[n] || !ends || needs > whole * resolution_shares[n]) continue;
      settled[n] = again = true;
      left -= needs;
      shares -= resolution_shares[n];
      break;
    }
  }
  for (std::size_t n = 0; n < reach.size(); ++n) {
    if (!settled[n])
      reach[n] =
          static_cast<std::int64_t>(left / shares * resolution_shares[n] / per_hour[n] * static_cast<double>(hour_ms));
  }
  return reach;
}

Result<void> Capacity::look(Connection& connection, std::int64_t now_ms) {
  const std::int64_t hour = (now_ms - until_sealed_ms) / hour_ms - 1;
  if (hour == hour_) return {};
  const std::int64_t from = slot_key(hour * hour_slots, 0);
  const std::int64_t until = slot_key((hour + 1) * hour_slots, 0);
  const auto ask = [&](const char* sql) {
    return connection.integer(fmt::format(fmt::runtime(sql), fmt::arg("from", from), fmt::arg("until", until),
                                          fmt::arg("before", from - slot_key(1, 0)),
                                          fmt::arg("start_s", hour * hour_ms / 1000), fmt::arg("row", hour_row_bytes)));
  };
  // The four slots of the hour and the one before must have data: otherwise recording may have begun within the hour.
  auto slots = ask("SELECT count(DISTINCT k >> 24) FROM chunk WHERE k >= {before} AND k < {until}");
  if (!slots) return slots.error();
  hour_ = hour;
  if (*slots <= hour_slots) return {};
  PerResolution<double> per_hour{};
  constexpr std::array sums = {"SELECT sum(length(d)) FROM chunk WHERE k >= {from} AND k < {until}",
                               "SELECT sum(length(d)) FROM roll_1m WHERE k >= {from} AND k < {until}",
                               "SELECT count(*) * {row} FROM roll_1h WHERE start_s = {start_s}"};
  for (std::size_t n = 0; n < per_hour.size(); ++n) {
    auto sum = ask(sums[n]);
    if (!sum) return sum.error();
    per_hour[n] = static_cast<double>(*sum);
  }
  per_hour_ = per_hour;
  return {};
}

}  // namespace perjoule::storage
