#include "daemon/efficiency/gpu_row.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "collectors/gpu/idle_watts.hpp"
#include "collectors/gpu/metrics.hpp"
#include "daemon/efficiency/metrics.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "daemon/efficiency/node_state_row.hpp"
#include "daemon/record/series.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

// What a row showed and booked last, by family and label values.
struct Derived final : Derivation {
  std::map<std::string, double> shown;
  std::map<std::string, std::int64_t> booked;
  static std::string key(const Metric& metric, Values labels) {
    std::string key(metric.name);
    for (std::string_view label : labels)
      key += '/' + std::string(label);
    return key;
  }
  void show(const Metric& gauge, Values labels, double value) override { shown[key(gauge, labels)] = value; }
  void book(const Metric& counter, Values labels, std::int64_t millionths) override {
    booked[key(counter, labels)] += millionths;
  }
  void remove(const Metric& metric, Values labels) override {
    shown.erase(key(metric, labels));
    booked.erase(key(metric, labels));
  }
};

struct Boards {
  explicit Boards(const storage::LedgerRows& rows = {}) : ledger(rows, "boot") {}

  void observe(const Metric& metric, const std::string& values, double value, std::int64_t booked = 0) {
    Observation seen;
    seen.metric = &metric;
    seen.label_values = values;
    seen.value = value;
    seen.booked = booked;
    seen.interval_us = booked > 0 ? 1'000'000 : 0;
    row.observe(seen);
  }
  struct Board {
    std::string slot;
    std::string model = "NVIDIA H100 80GB HBM3";
    double watts = 70;
    double limit = 700;
    std::optional<double> utilization = 0;
    std::optional<double> processes = 0;
    std::optional<bool> clock_idle = true;
  };
  // One second of a board; its node draws 100 W beside it.
  void tick(const Board& of) {
    const std::string uuid = "GPU-" + of.slot;
    const std::string gpu = label_values({of.slot, uuid});
    observe(gpu_info, label_values({of.slot, uuid, of.model, "nvidia", "", "", ""}), 1);
    observe(gpu_power, gpu, of.watts);
    observe(gpu_power_limit, gpu, of.limit);
    if (of.utilization) observe(gpu_utilization, gpu, *of.utilization);
    if (of.processes) observe(gpu_holding_processes, gpu, *of.processes);
    if (of.clock_idle) observe(gpu_clock_idle, gpu, *of.clock_idle ? 1 : 0);
    observe(gpu_energy, gpu, of.watts, static_cast<std::int64_t>(of.watts * 1e6));
    row.derive({now_ns, 0}, derived);
  }
  void node(std::int64_t watts) {
    Observation seen;
    seen.metric = &node_energy;
    seen.booked = watts * 1'000'000;
    node_row.observe(seen);
    node_row.derive({now_ns, 0}, derived);
  }
  std::string floor(const std::string& slot) const {
    const std::string head = "perjoule_gpu_deep_idle_watts/" + slot + "/GPU-" + slot + "/";
    const auto found = derived.shown.lower_bound(head);
    if (found == derived.shown.end() || !found->first.starts_with(head)) return "";
    return found->first.substr(head.size()) + " " + std::to_string(std::lround(found->second));
  }
  std::int64_t joules(const std::string& state) const {
    const auto found = derived.booked.find("perjoule_node_state_energy_joules_total/" + state);
    return found == derived.booked.end() ? -1 : found->second / 1'000'000;
  }

  Ledger ledger;
  std::shared_ptr<GpuOccupancy> occupancy = std::make_shared<GpuOccupancy>();
  GpuRow row{ledger, occupancy};
  NodeStateRow node_row{occupancy};
  Derived derived;
  std::int64_t now_ns = second_ns;
};

}  // namespace

TEST_CASE("the idle floor: configured, then the GPU's own, then a sister's, then the table's, else unknown") {
  Boards boards;
  boards.tick({"0"});
  boards.tick({"1", "NVIDIA Unheard Of"});
  CHECK(boards.floor("0") == "assumed 70");
  CHECK(boards.floor("1").empty());
  CHECK(boards.row.note(boards.now_ns).starts_with("idle floor unknown: 1 GPU (NVIDIA Unheard Of)"));
  CHECK_FALSE(boards.derived.booked.contains("perjoule_idle_waste_joules_total/1/GPU-1"));
  for (int second = 0; second < 400; ++second) {
    boards.now_ns += second_ns;
    boards.tick({"0", "NVIDIA H100 80GB HBM3", 78});
    boards.tick({"2", "NVIDIA H100 80GB HBM3", 120, 700, 0.0, 1.0});        // parked since it was first seen
    boards.tick({"3", "NVIDIA H100 80GB HBM3", 120, 500, 0.0, 1.0, true});  // another limit
  }
  CHECK(boards.floor("0") == "learnt 78");
  CHECK(boards.floor("2") == "sister 78");
  CHECK(boards.floor("3") == "assumed 70");
  CHECK(boards.derived.booked["perjoule_idle_waste_joules_total/2/GPU-2"] > 0);
  config::Efficiency settings;
  settings.idle_floor_watts = 66;
  boards.row.configure(settings);
  boards.tick({"0"});
  boards.tick({"1", "NVIDIA Unheard Of"});
  CHECK(boards.floor("0") == "configured 66");
  CHECK(boards.floor("1") == "configured 66");
  CHECK(boards.row.note(boards.now_ns).empty());
}

TEST_CASE("the floor that a GPU has learned outlives a restart") {
  storage::LedgerRows rows;
  rows.states = {{"gpu/GPU-5", "parked 81:900.0"}};
  Boards boards(rows);
  boards.tick({"5", "NVIDIA Unheard Of", 130, 700, 0.0, 1.0});
  CHECK(boards.floor("5") == "learnt 81");
  CHECK(boards.derived.booked["perjoule_gpu_state_energy_joules_total/5/GPU-5/parked"] == 130'000'000);
}

TEST_CASE("known idle powers are plausible") {
  CHECK(assumed_idle_watts("NVIDIA H100 80GB HBM3") == 70);
  CHECK(assumed_idle_watts("Tesla T4") == 9);
  CHECK_FALSE(assumed_idle_watts("NVIDIA H100"));
  CHECK_FALSE(assumed_idle_watts(""));
}

TEST_CASE("the node's energy by what its GPUs do") {
  Boards boards;
  boards.node(50);  // before a GPU is known: it waits
  const auto second = [&](const Boards::Board& first, const Boards::Board& other) {
    boards.now_ns += second_ns;
    boards.tick(first);
    boards.tick(other);
    boards.node(100);
  };
  const Boards::Board idle{"0"};
  const Boards::Board other_idle{"1"};
  const Boards::Board parked{"1", "NVIDIA H100 80GB HBM3", 120, 700, 0.0, 2.0};
  const Boards::Board busy{"1", "NVIDIA H100 80GB HBM3", 600, 700, 0.99, 2.0, false};
  for (int i = 0; i < 100; ++i)
    second(idle, other_idle);
  CHECK(boards.joules("active") == 50 + 61 * 100);  // until the idle states have held for a minute
  CHECK(boards.joules("free") == 39 * 100);
  CHECK(boards.joules("held_idle") == 0);
  for (int i = 0; i < 100; ++i)
    second(idle, parked);
  CHECK(boards.joules("held_idle") == 39 * 100);
  for (int i = 0; i < 10; ++i)
    second(idle, busy);
  CHECK(boards.joules("active") == 50 + 71 * 100);
  CHECK(boards.joules("active") + boards.joules("held_idle") + boards.joules("free") == 50 + 210 * 100);
}

TEST_CASE("a node without GPUs has no such states") {
  Boards boards;
  for (int i = 0; i < 100; ++i) {
    boards.now_ns += second_ns;
    boards.node(100);
  }
  CHECK(boards.joules("free") == -1);
  CHECK(boards.joules("active") == -1);
}
