// Scrapes of known hosts, compared byte for byte with tests/golden/*.txt. The real collectors, sampler and recorder
// run on virtual time, so that every number is known. PERJOULE_UPDATE_GOLDEN=1 rewrites the files.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collectors/registry.hpp"
#include "daemon/alerts/evaluate/engine.hpp"
#include "daemon/alerts/notify/dispatch.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/families.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "daemon/sampling/sampler.hpp"
#include "daemon/self/instruments.hpp"
#include "tests/fakes/tree.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/unit/daemon/golden_gpu.hpp"
#include "tests/unit/daemon/golden_host.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr Stamp start{1'000 * second_ns, 1'795'424'400'000};
constexpr std::uint64_t host_seconds = 31;  // by then the slowest collector has had three samples

// False for metrics whose value depends on the running process.
bool is_fixed(const Metric& metric) {
  return !metric.name.starts_with("process_") && metric.name != "perjoule_self_energy_joules_total";
}

void feed(Instruments& instruments) {
  storage::Report report;
  report.ledger_committed = true;
  report.history_attempted = true;
  report.history_committed = true;
  report.ledger_seconds = 0.003;
  report.history_seconds = 0.03;
  report.appended_samples = 100;
  report.size = {.bytes = 4096,
                 .series = 17,
                 .oldest_ms = start.wall_ms,
                 .tail_rows = 1,
                 .reach_ms = {{86'400'000, 0, 172'800'000}}};
  instruments.storage(report);
  instruments.http({});
  instruments.scrape(1000, 0.0002);
  instruments.lateness(0.0002);
  instruments.reload(true, static_cast<double>(start.wall_ms) / 1000);
  instruments.series(50, 0);
}

// A rule that fires, because the instruments were given a successful reload.
alerts::Rule reload_rule() {
  alerts::Rule rule;
  rule.name = "ConfigReloaded";
  rule.expression.value.metric = "perjoule_config_last_reload_successful";
  rule.levels.push_back({"info", true, 0, std::nullopt, 0, 0});
  rule.cause = "reload";
  return rule;
}

struct Scrapes {
  std::string text;
  std::string openmetrics;
};

struct Setting {
  std::vector<const Entry*> entries;
  Roots roots;
  std::string textfiles;
  config::Efficiency efficiency;
  std::function<void(std::uint64_t)> second;  // called before each second
  std::uint64_t seconds = 0;
  bool self = false;
};

Scrapes scrape(const Setting& setting) {
  asio::io_context loop(1);
  fakes::VirtualClock clock(loop, start);
  Latest latest;
  Ledger ledger({}, "boot");
  Recorder recorder(latest, ledger, nullptr, make_rows(ledger));
  recorder.configure(setting.efficiency);
  recorder.settle(false, clock.now());
  Sources sources(recorder, {});
  const MakeLane lanes = [&] {
    return std::make_unique<fakes::VirtualLane>(clock, [] { return nanoseconds_per_millisecond; });
  };
  Log log({config::LogLevel::error, config::LogFormat::logfmt});
  GpuRoster roster(ledger, recorder, sources, log, {}, {});
  std::optional<Sampler> sampler;
  sampler.emplace(loop, clock, lanes, recorder, sources, OnLateness(), roster.inventory());
  for (const Entry* entry : setting.entries) {
    config::CollectorSettings settings;
    settings.period = entry->period;
    settings.deadline = entry->deadline;
    settings.stale_after = std::max<config::Milliseconds>(3 * entry->period, config::Milliseconds(10'000));
    if (entry->name == "textfile") settings.options.set("directory", setting.textfiles);
    sampler->start(*entry, settings, setting.roots);
  }
  for (std::uint64_t second = 0; second < setting.seconds; ++second) {
    if (second == 2) recorder.settle(true, clock.now());
    if (setting.second) setting.second(second);
    clock.run_until(start.steady_ns + static_cast<std::int64_t>(second) * second_ns + second_ns / 2);
  }
  roster.tick(clock.now(), {});
  Instruments instruments(BuildInfo{"1.2.3", "0123abc", "main", "g++"});
  feed(instruments);
  const Tree store;
  REQUIRE(
      alerts::write_maintenance(store.at(alerts::maintenance_file), {start.wall_ms + 3'600'000, "golden"}).has_value());
  alerts::Dispatch dispatch({loop, clock, recorder, ledger, log, lanes, "1.2.3", "127.0.0.1:10190", store.root()});
  alerts::Engine engine({clock, latest, recorder, instruments, ledger, log}, {});
  if (setting.self) {
    engine.set_rules({reload_rule()});
    engine.evaluate();
    config::Alerts receivers;
    receivers.alertmanagers = {{"http://127.0.0.1:9093", {}, {}}};
    receivers.webhooks = {{"http://127.0.0.1:9/a", {}, {}}, {"http://127.0.0.1:9/b", {}, {}}};
    dispatch.configure(receivers, "");
    dispatch.tick();
  }
  Scrapes scrapes;
  latest.write(scrapes.text, Format::text, clock.now().steady_ns);
  latest.write(scrapes.openmetrics, Format::openmetrics, clock.now().steady_ns);
  if (setting.self) {
    instruments.write(scrapes.text, Format::text, is_fixed);
    instruments.write(scrapes.openmetrics, Format::openmetrics, is_fixed);
  }
  scrapes.openmetrics += "# EOF\n";
  sampler.reset();
  clock.run_until(clock.now().steady_ns + 10 * second_ns);
  return scrapes;
}

Scrapes scrape(const GoldenHost& host, bool self) {
  const auto all = registry();
  return scrape({{all.begin(), all.end()},
                 host.roots(),
                 host.textfiles(),
                 {},
                 [&host](std::uint64_t second) { host.second(second); },
                 host_seconds,
                 self});
}

Scrapes scrape_gpu() {
  Setting setting;
  setting.entries = {&GoldenGpu::entry()};
  setting.seconds = GoldenGpu::seconds;
  setting.efficiency.price = config::Price{0.12, "USD"};
  setting.efficiency.carbon = 400;
  setting.efficiency.pue = 1.25;
  return scrape(setting);
}

// Compares with the file, or rewrites it with PERJOULE_UPDATE_GOLDEN. Reports only the first line that differs.
void compare(const std::string& name, std::string text) {
  // A file that was written just now may be of this second or of the one before.
  constexpr std::string_view age = "\nperjoule_textfile_age_seconds{";
  for (std::size_t at = text.find(age); at != std::string::npos; at = text.find(age, at + 1))
    text[text.find("} ", at) + 2] = '0';
  const std::string path = std::string(PERJOULE_SOURCE_DIR) + "/tests/golden/" + name;
  if (std::getenv("PERJOULE_UPDATE_GOLDEN") != nullptr) {  // NOLINT(concurrency-mt-unsafe): one thread
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(in), {}};
  const auto line_at = [](const std::string& of, std::size_t at) {
    const std::size_t begin = at == 0 ? 0 : of.rfind('\n', at - 1) + 1;
    return begin <= of.size() ? of.substr(begin, of.find('\n', begin) - begin) : std::string();
  };
  std::size_t at = 0;
  while (at < golden.size() && at < text.size() && golden[at] == text[at])
    ++at;
  INFO(path << " differs; tests/generate.sh rewrites it");
  if (golden != text) CHECK(line_at(text, at) == line_at(golden, at));
  CHECK(golden.size() == text.size());
}

std::set<std::string> families_of(const std::string& text) {
  std::set<std::string> families;
  for (std::size_t at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1))
    families.insert(text.substr(at + 7, text.find(' ', at + 7) - at - 7));
  return families;
}

}  // namespace

TEST_CASE("golden scrapes: together they have every metric of the catalogue and no other") {
  const Scrapes metered = scrape(GoldenHost(true), true);
  const Scrapes modelled = scrape(GoldenHost(false), false);
  const Scrapes gpu = scrape_gpu();
  compare("metrics.txt", metered.text);
  compare("metrics.openmetrics.txt", metered.openmetrics);
  compare("metrics_modelled.txt", modelled.text);
  compare("metrics_modelled.openmetrics.txt", modelled.openmetrics);

  compare("metrics_gpu.txt", gpu.text);
  compare("metrics_gpu.openmetrics.txt", gpu.openmetrics);

  std::set<std::string> shown = families_of(metered.text);
  shown.merge(families_of(modelled.text));
  shown.merge(families_of(gpu.text));
  std::set<std::string> catalogue;
  for (const Metric* metric : GoldenGpu::entry().metrics)
    catalogue.emplace(metric->name);
  for (const MetricGroup& group : metric_groups()) {
    for (const Metric* metric : group.metrics) {
      if (is_fixed(*metric)) catalogue.emplace(metric->name);
    }
  }
  for (const std::string& name : catalogue)
    CHECK_MESSAGE(shown.contains(name), name << " is in no golden scrape");
  for (const std::string& name : shown)
    CHECK_MESSAGE(catalogue.contains(name), name << " is shown and in no collector's list");
}
