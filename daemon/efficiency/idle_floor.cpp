#include "daemon/efficiency/idle_floor.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace perjoule {

namespace {

constexpr double half_life_seconds = 7 * 86'400.0;
constexpr double share = 0.05;
constexpr double least_seconds = 0.5;  // bins with less are not saved, to keep the ledger's row short

}  // namespace

void IdleFloor::add(double watts, double seconds) {
  if (!(watts >= 0) || watts >= watts_max || !(seconds > 0)) return;
  const double kept = std::exp2(-seconds / half_life_seconds);
  for (double& of_bin : seconds_)
    of_bin *= kept;
  const auto bin = static_cast<std::size_t>(watts);
  if (seconds_.size() <= bin) seconds_.resize(bin + 1);
  seconds_[bin] += seconds;
  total_ = total_ * kept + seconds;
}

std::optional<double> IdleFloor::watts() const {
  if (total_ < known_after_seconds) return std::nullopt;
  double below = 0;
  for (std::size_t bin = 0; bin < seconds_.size(); ++bin) {
    const double missing = share * total_ - below;
    if (seconds_[bin] > 0 && seconds_[bin] >= missing) return static_cast<double>(bin) + missing / seconds_[bin];
    below += seconds_[bin];
  }
  return std::nullopt;
}

std::string IdleFloor::text() const {
  std::string out;
  for (std::size_t bin = 0; bin < seconds_.size(); ++bin) {
    if (seconds_[bin] >= least_seconds) out += fmt::format("{}{}:{:.1f}", out.empty() ? "" : " ", bin, seconds_[bin]);
  }
  return out;
}

IdleFloor IdleFloor::from(std::string_view text) {
  IdleFloor floor;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    unsigned bin = 0;
    double seconds = 0;
    const auto watts_read = std::from_chars(at, end, bin);
    if (watts_read.ec != std::errc() || watts_read.ptr == end || *watts_read.ptr != ':') break;
    const auto seconds_read = std::from_chars(watts_read.ptr + 1, end, seconds);
    if (seconds_read.ec != std::errc() || bin >= watts_max || !(seconds > 0) || !std::isfinite(seconds)) break;
    if (floor.seconds_.size() <= bin) floor.seconds_.resize(bin + 1);
    floor.seconds_[bin] += seconds;
    floor.total_ += seconds;
    at = seconds_read.ptr;
    if (at < end && *at == ' ') ++at;
  }
  return floor;
}

}  // namespace perjoule
