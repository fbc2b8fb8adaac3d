#include "tests/soak/past.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/bench/feed.hpp"

namespace perjoule {

namespace {

// Longest step of the telemetry's model: its temperatures follow the load with a time constant of 25 s, and longer
// steps would make them oscillate.
constexpr double seconds_max = 20;
constexpr std::int64_t late_max_ms = 3;

}  // namespace

Past::Past(const Plan& plan) : plan_(plan) {
  const std::size_t hosts = (plan.series + bench::host_series - 1) / bench::host_series;
  for (std::size_t h = 0; h < hosts; ++h) {
    Source source{bench::Host(bench::telemetry_seed + h), plan.start_ms - plan.period_ms, {}, {}};
    advance(source, -1);
    sources_.push_back(std::move(source));
  }
}

void Past::advance(Source& source, std::int64_t number) const {
  const std::int64_t stamp_ms = plan_.start_ms + number * plan_.period_ms + source.host.lateness_ms();
  const double seconds = static_cast<double>(std::max<std::int64_t>(stamp_ms - source.stamp_ms, 1)) / 1e3;
  const double parts = std::ceil(seconds / seconds_max);
  for (double part = 0; part < parts; ++part)
    source.host.tick(seconds / parts, source.values, source.shapes);
  source.stamp_ms = stamp_ms;
}

std::size_t Past::columns(std::size_t host) const {
  return std::min(bench::host_series, plan_.series - host * bench::host_series);
}

bench::Shape Past::shape(std::size_t series) const {
  return sources_.front().shapes[series % bench::host_series];
}

std::string Past::labels(std::size_t series) const {
  return fmt::format("host=\"{}\",sensor=\"{}\"", series / bench::host_series, series % bench::host_series);
}

bool Past::is_counter(std::size_t series) const {
  return bench::is_energy(shape(series));
}

// The same steps as in tests/bench/history.cpp.
double Past::step(std::size_t series) const {
  if (shape(series) == bench::Shape::power_milliwatt) return 0.1;
  return is_counter(series) ? 1 : 0;
}

double Past::stored(std::size_t series, double value) const {
  const double declared = step(series);
  if (declared <= 0) return value;
  return declared < 1 ? std::nearbyint(value * 10) / 10 : std::nearbyint(value);
}

storage::Frame Past::descriptions() const {
  storage::Frame frame;
  for (std::uint32_t h = 0; h < sources_.size(); ++h)
    frame.groups.push_back({storage::GroupId{h}, "soak", fmt::format("host_{}", h), plan_.period_ms});
  for (std::size_t s = 0; s < plan_.series; ++s) {
    frame.series.push_back({static_cast<SeriesId>(s), bench::metric_of(shape(s)), labels(s), Unit::none,
                            is_counter(s) ? Kind::counter : Kind::gauge, step(s)});
  }
  return frame;
}

void Past::tick(storage::Frame& frame) {
  if (ticks_ % plan_.stride == 0) copies_.push_back(sources_);
  for (std::uint32_t h = 0; h < sources_.size(); ++h) {
    Source& source = sources_[h];
    advance(source, ticks_);
    storage::Tick tick{storage::GroupId{h}, source.stamp_ms, {}};
    tick.samples.reserve(columns(h));
    for (std::size_t s = 0; s < columns(h); ++s)
      tick.samples.push_back({static_cast<SeriesId>(h * bench::host_series + s), source.values[s]});
    samples_ += columns(h);
    now_ms_ = std::max(now_ms_, source.stamp_ms);
    frame.ticks.push_back(std::move(tick));
  }
  ++ticks_;
}

std::vector<storage::Point> Past::points(std::size_t series, std::int64_t from_ms, std::int64_t to_ms) const {
  std::vector<storage::Point> out;
  const std::int64_t from = std::max(from_ms - late_max_ms - plan_.start_ms, std::int64_t{0}) / plan_.period_ms;
  const std::int64_t to = std::min((to_ms - plan_.start_ms) / plan_.period_ms + 1, ticks_);
  if (to_ms < plan_.start_ms || from >= to) return out;
  const std::int64_t copy = from / plan_.stride;
  Source source = copies_[static_cast<std::size_t>(copy)][series / bench::host_series];
  for (std::int64_t n = copy == 0 ? 0 : copy * plan_.stride; n < to; ++n) {
    advance(source, n);
    if (source.stamp_ms < from_ms || source.stamp_ms > to_ms) continue;
    out.push_back({source.stamp_ms, source.values[series % bench::host_series]});
  }
  return out;
}

}  // namespace perjoule
