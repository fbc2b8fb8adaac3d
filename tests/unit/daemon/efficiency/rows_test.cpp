// The derived rows with a real recorder: what a batch derives, which sums agree, and what survives a restart.
#include "daemon/efficiency/rows.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <optional>
#include <string>

#include "collectors/gpu/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/efficiency/cost_row.hpp"
#include "daemon/efficiency/gpu_state.hpp"
#include "daemon/efficiency/metrics.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/recorder.hpp"
#include "tests/unit/daemon/record/hand_sink.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t wall_start_ms = 1'795'424'400'000;
constexpr const char* uuid = "GPU-1b2c";

struct Node {
  explicit Node(const storage::LedgerRows& rows = {})
      : ledger(rows, "boot"), recorder(latest, ledger, &sink, make_rows(ledger)) {
    recorder.configure(settings);
    gpu = recorder.open_probe({"nvml", uuid, second_ns, 10 * second_ns});
    cpu = recorder.open_probe({"rapl", "package-0", second_ns, 10 * second_ns});
  }
  [[nodiscard]] Stamp now() const { return {seconds * second_ns, wall_start_ms + seconds * 1000}; }
  // One second of a GPU with `watts`, and of a package with 100 W.
  void tick(double watts, double utilization, double processes) {
    ++seconds;
    gpu_uj += static_cast<std::uint64_t>(watts * 1e6);
    cpu_uj += 100'000'000;
    Batch batch;
    batch.meter(gpu_energy, nullptr, {uuid, gpu_uj, 0, 1000}, "0", uuid);
    batch.add(gpu_power, watts_of(watts), "0", uuid);
    batch.add(gpu_utilization, ratio(utilization), "0", uuid);
    batch.add(gpu_holding_processes, count(processes), "0", uuid);
    batch.add(gpu_clock_idle, count(utilization > 0 ? 0 : 1), "0", uuid);
    batch.add(gpu_power_limit, watts_of(700), "0", uuid);
    CHECK(recorder.accept(gpu, batch, now()).refused == 0);
    Batch package;
    package.meter(cpu_package_energy, &cpu_package_power, {"package-0", cpu_uj, 0, 400}, "0", "rapl");
    CHECK(recorder.accept(cpu, package, now()).refused == 0);
    recorder.commit(false);
    sink.answer(true);
  }
  static Watts watts_of(double value) { return watts(value); }
  std::optional<double> shown(const Metric& metric, std::initializer_list<std::string_view> labels) {
    return latest.value(*recorder.series().identify(metric, label_values(labels)), now().steady_ns);
  }
  double total(const Metric& metric, std::initializer_list<std::string_view> labels) {
    return shown(metric, labels).value_or(-1);
  }
  double states(const Metric& metric) {
    double sum = 0;
    for (const GpuState state : gpu_states)
      sum += total(metric, {"0", uuid, name(state)});
    return sum;
  }

  config::Efficiency settings;
  HandSink sink;
  Latest latest;
  Ledger ledger;
  Recorder recorder;
  ProbeId gpu{};
  ProbeId cpu{};
  std::int64_t seconds = 1000;
  std::uint64_t gpu_uj = 5'000'000;
  std::uint64_t cpu_uj = 9'000'000;
};

}  // namespace

TEST_CASE("a GPU's states add up to its energy and time; node, cost and emissions use the same joules") {
  Node node;
  node.settings.price = config::Price{0.25, "EUR"};
  node.settings.carbon = 400;
  node.settings.pue = 1.5;
  node.recorder.configure(node.settings);
  for (int second = 0; second < 500; ++second)
    node.tick(70, 0, 0);
  CHECK(node.shown(gpu_deep_idle_power, {"0", uuid, "learnt"}).value_or(0) == doctest::Approx(70).epsilon(0.02));
  for (int second = 0; second < 300; ++second)
    node.tick(120, 0, 1);
  CHECK(node.shown(idle_waste_power, {"0", uuid}).value_or(0) == doctest::Approx(50).epsilon(0.03));
  for (int second = 0; second < 100; ++second)
    node.tick(650, 0.99, 1);

  const double gpu_joules = node.total(gpu_energy, {"0", uuid});
  CHECK(gpu_joules == doctest::Approx(70 * 499 + 120 * 300 + 650 * 100));
  CHECK(node.states(gpu_state_energy) == doctest::Approx(gpu_joules).epsilon(1e-12));
  CHECK(node.states(gpu_state_seconds) == doctest::Approx(899).epsilon(1e-12));
  CHECK(node.total(gpu_state_seconds, {"0", uuid, "active"}) == doctest::Approx(60 + 100));
  CHECK(node.total(gpu_state_seconds, {"0", uuid, "parked"}) == doctest::Approx(300 - 61));
  CHECK(node.total(idle_waste_energy, {"0", uuid}) == doctest::Approx(50 * (300 - 61)).epsilon(0.03));
  CHECK(node.shown(power_headroom, {uuid, "gpu_enforced", "0", uuid}) == 50);

  CHECK(node.shown(node_power, {"sum"}).value_or(0) == 750);
  const double node_joules = node.total(node_energy, {"sum"});
  // The node is derived with the last batch of a second, so it has the same seconds as its parts.
  CHECK(node_joules == doctest::Approx(gpu_joules + 100 * 899));
  CHECK(node.total(energy_by_source, {"node", "counter", "", ""}) == doctest::Approx(node_joules));
  // What its GPUs do partitions the node's energy, too: free is the deep idle time, held_idle the parked one.
  const double free = node.total(node_state_energy, {"free"});
  const double held = node.total(node_state_energy, {"held_idle"});
  const double active = node.total(node_state_energy, {"active"});
  CHECK(free + held + active == doctest::Approx(node_joules).epsilon(1e-12));
  CHECK(free == doctest::Approx(170 * 500).epsilon(0.15));
  CHECK(held == doctest::Approx(220 * (300 - 61)).epsilon(0.02));
  CHECK(node.total(energy_cost, {"EUR"}) == doctest::Approx(node_joules / 3.6e6 * 1.5 * 0.25).epsilon(1e-4));
  CHECK(node.total(emissions, {}) == doctest::Approx(node_joules / 3.6e6 * 1.5 * 400).epsilon(1e-4));
  CHECK(node.shown(pue_configured, {}) == 1.5);

  SUBCASE("closing a device removes its derived series, and not the node's") {
    node.recorder.close_probe(node.gpu);
    CHECK_FALSE(node.shown(gpu_state_seconds, {"0", uuid, "active"}));
    CHECK_FALSE(node.shown(power_headroom, {uuid, "gpu_enforced", "0", uuid}));
    CHECK(node.shown(node_power, {"sum"}));
  }
  SUBCASE("after a restart totals are shown even if nothing new was booked") {
    Node again(node.sink.rows());
    again.seconds = node.seconds;
    again.gpu_uj = node.gpu_uj - 120'000'000;
    again.cpu_uj = node.cpu_uj - 100'000'000;
    again.tick(120, 0, 1);  // the same raw counters: nothing to book
    CHECK(again.total(node_energy, {"sum"}) == doctest::Approx(node_joules));
    CHECK(again.total(energy_by_source, {"node", "counter", "", ""}) ==
          doctest::Approx(node.total(energy_by_source, {"node", "counter", "", ""})).epsilon(1e-3));
    CHECK(again.total(energy_cost, {"EUR"}) == -1);  // a price that is no longer configured is not shown
  }
  SUBCASE("state, floor and totals survive a restart, and the gap belongs to the state before it") {
    for (int second = 0; second < 400; ++second)
      node.tick(70, 0, 0);
    const double deep_idle = node.total(gpu_state_seconds, {"0", uuid, "deep_idle"});
    const double time = node.states(gpu_state_seconds);
    Node again(node.sink.rows());
    again.seconds = node.seconds + 599;
    again.gpu_uj = node.gpu_uj + 599 * 70'000'000ULL;
    again.cpu_uj = node.cpu_uj + 599 * 100'000'000ULL;
    again.tick(70, 0, 0);
    CHECK(again.total(gpu_state_seconds, {"0", uuid, "deep_idle"}) == doctest::Approx(deep_idle + 600));
    CHECK(again.states(gpu_state_seconds) == doctest::Approx(time + 600));
    CHECK(again.states(gpu_state_energy) == doctest::Approx(again.total(gpu_energy, {"0", uuid})).epsilon(1e-12));
    CHECK(again.shown(gpu_deep_idle_power, {"0", uuid, "learnt"}).value_or(0) == doctest::Approx(70).epsilon(0.02));
  }
}

TEST_CASE("cost and emissions are absent until a price and an intensity are configured") {
  Node node;
  for (int second = 0; second < 5; ++second)
    node.tick(100, 1, 1);
  CHECK_FALSE(node.shown(energy_cost, {"USD"}));
  CHECK_FALSE(node.shown(emissions, {}));
  CHECK_FALSE(node.shown(pue_configured, {}));
  CHECK_FALSE(node.shown(gpu_deep_idle_power, {"0", uuid, "learnt"}));
  CHECK_FALSE(node.shown(idle_waste_energy, {"0", uuid}));
}

TEST_CASE("a new price does not change past cost, and a negative price is a credit") {
  Node node;
  double cost = 0;
  double credit = 0;
  for (const double price : {0.1, 0.4, -0.2, 0.0}) {
    node.settings.price = config::Price{price, "USD"};
    node.recorder.configure(node.settings);
    const double before = std::max(node.shown(node_energy, {"sum"}).value_or(0), 0.0);
    for (int second = 0; second < 1000; ++second)
      node.tick(900, 1, 1);
    const double joules = node.total(node_energy, {"sum"}) - before;
    (price < 0 ? credit : cost) += joules / 3.6e6 * std::abs(price);
    CHECK(node.total(energy_cost, {"USD"}) == doctest::Approx(cost).epsilon(1e-3));
  }
  CHECK(node.total(energy_credit, {"USD"}) == doctest::Approx(credit).epsilon(1e-3));
}

TEST_CASE("a rate loses nothing to rounding, for bookings of any size") {
  EnergyRate rate(0.12);
  std::int64_t millionths = 0;
  constexpr std::int64_t step_uj = 7;
  constexpr std::int64_t steps = 30'000'000;
  for (std::int64_t i = 0; i < steps; ++i)
    millionths += rate.millionths(step_uj);
  CHECK(millionths == step_uj * steps / 30'000'000);  // 0.12 per 3.6e12 uJ: one millionth per 30,000,000 uJ
}
