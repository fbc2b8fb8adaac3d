// CPU time per series of rendering one scrape: Latest against prometheus-cpp's Registry and TextSerializer, alternately
// with the same series. Prints a line per run: our microseconds, then theirs.
#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "daemon/record/latest.hpp"
#include "daemon/record/series.hpp"
#include "tests/bench/series.hpp"

namespace {

using namespace perjoule;

constexpr std::size_t series_count = 1000;
constexpr int runs = 7;
constexpr int scrapes = 100;

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// The time of `render` alone; values change between two scrapes.
template <class Change, class Render>
double us_per_series(const Change& change, const Render& render) {
  double spent_us = 0;
  std::size_t lines = 0;
  for (int i = 0; i < scrapes; ++i) {
    change();
    const double before_us = cpu_us();
    const std::string text = render();
    spent_us += cpu_us() - before_us;
    lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  if (lines < series_count) {
    fmt::print(stderr, "series are missing: rendered only {} lines\n", lines);
    std::exit(1);
  }
  return spent_us / scrapes / series_count;
}

}  // namespace

int main() {
  const std::vector<bench::Shown> series = bench::shown_series(series_count);
  bench::Values values;

  Latest latest;
  std::vector<Sample> samples;
  for (const bench::Shown& shown : series) {
    const auto id = static_cast<SeriesId>(samples.size());
    std::string joined;
    for (const std::string& value : shown.values)
      joined.append(value).push_back('\0');
    latest.declare(id, *shown.metric, label_text(*shown.metric, joined));
    samples.push_back({id, 0});
  }
  const auto change_ours = [&] {
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i].value = values.next(*series[i].metric);
    latest.set(samples, 0, Latest::never_stale);
  };
  std::size_t bytes = 0;
  const auto render_ours = [&] {
    std::string text;
    text.reserve(bytes);  // as daemon/web does
    latest.write(text, Format::text, 0);
    bytes = text.size();
    return text;
  };

  prometheus::Registry registry;
  const std::vector<prometheus::Gauge*> gauges = bench::register_all(registry, series);
  const auto change_theirs = [&] {
    for (std::size_t i = 0; i < gauges.size(); ++i)
      gauges[i]->Set(values.next(*series[i].metric));
  };
  const auto render_theirs = [&] { return prometheus::TextSerializer().Serialize(registry.Collect()); };

  for (int run = 0; run < runs; ++run) {
    const double ours = us_per_series(change_ours, render_ours);
    const double theirs = us_per_series(change_theirs, render_theirs);
    fmt::print("scrape_render_us_per_series {} {}\n", ours, theirs);
  }
}
