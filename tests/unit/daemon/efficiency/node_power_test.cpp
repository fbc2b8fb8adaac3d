#include "daemon/efficiency/node_power.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "collectors/gpu/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/record/series.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t stale_ns = 10 * second_ns;

struct Part {
  SeriesId series;
  const Metric* metric;
  std::string labels;
  Origin origin;
};

Part package(unsigned id) {
  return {SeriesId{id}, &cpu_package_energy, label_values({std::to_string(id), "rapl"}), Origin::counter};
}
Part modelled(unsigned id) {
  return {SeriesId{id}, &cpu_package_energy, label_values({std::to_string(id), "modelled"}), Origin::modelled};
}
Part dram(unsigned id) {
  return {SeriesId{id}, &dram_energy, label_values({std::to_string(id)}), Origin::counter};
}
Part sensor(unsigned id, std::string_view role, std::string_view chip = "chip") {
  return {SeriesId{id}, &sensor_energy, label_values({chip, "power" + std::to_string(id), role}), Origin::integrated};
}
Part psys(unsigned id) {
  return {SeriesId{id}, &psys_energy, label_values({"0"}), Origin::counter};
}
Part gpu(unsigned id) {
  return {SeriesId{id}, &gpu_energy, label_values({std::to_string(id), "GPU-" + std::to_string(id)}), Origin::counter};
}
// Of the package that package(id) measures.
Part model_of(unsigned id) {
  return {SeriesId{id + 1000}, &cpu_package_energy, label_values({std::to_string(id), "modelled"}), Origin::modelled};
}

void observe(NodePower& node, const Part& part, std::int64_t now_ns, std::optional<double> watts, std::int64_t booked,
             std::int64_t unobserved_us = 0, bool stands = false) {
  node.observe({part.series, part.metric, part.labels, part.origin, watts, booked, unobserved_us, now_ns, stale_ns,
                1'000'000, stands});
}

using Best = std::optional<NodePower::Reading>;

// One second in which all of `parts` are read with the same power and energy; what the last derivation shows.
Best second(NodePower& node, std::int64_t at_s, const std::vector<std::pair<Part, double>>& parts) {
  Best shown;
  for (const auto& [part, watts] : parts) {
    observe(node, part, at_s * second_ns, watts, static_cast<std::int64_t>(watts * 1e6));
    if (const auto derived = node.derive(at_s * second_ns)) shown = derived->best;
  }
  return shown;
}

bool is(const Best& shown, NodeSource source, double watts) {
  return shown && shown->source == source && shown->watts == doctest::Approx(watts);
}

}  // namespace

TEST_CASE("each source is chosen by the readings that it needs") {
  const struct {
    std::vector<Part> parts;
    NodeSource source;
    Origin origin;
    double watts;
  } cases[] = {
      {{sensor(1, "node")}, NodeSource::meter, Origin::integrated, 100},
      {{sensor(1, "psu_in"), sensor(2, "psu_in")}, NodeSource::psu, Origin::integrated, 200},
      {{psys(1)}, NodeSource::psys, Origin::counter, 100},
      {{package(1), package(2), dram(3)}, NodeSource::sum, Origin::counter, 300},
      {{modelled(1), modelled(2)}, NodeSource::modelled, Origin::modelled, 200},
  };
  for (const auto& of : cases) {
    NodePower node;
    for (const Part& part : of.parts)
      observe(node, part, 0, 100, 1000);
    const auto derived = node.derive(0);
    REQUIRE(derived);
    CHECK(derived->best->source == of.source);
    CHECK(derived->best->watts == of.watts);
    CHECK(derived->by_origin[static_cast<std::size_t>(of.origin)] == std::optional(derived->booked));
    CHECK(derived->booked == static_cast<std::int64_t>(of.parts.size()) * 1000);
    CHECK(derived->readings.size() == 1);
  }
}

TEST_CASE("readings that belong to no source give no node power") {
  NodePower node;
  for (const char* role : {"cpu", "gpu", "psu_out", "nvme", "other", ""})
    observe(node, sensor(1, role), 0, 100, 1000);
  CHECK_FALSE(node.derive(0));
}

TEST_CASE("the node is derived when the last member of a tick is read, and with one reading less than all of them") {
  NodePower node;
  const auto tick = [&](std::int64_t second, std::initializer_list<unsigned> read) {
    std::vector<std::optional<double>> shown;
    for (const unsigned id : read) {
      observe(node, package(id), second * second_ns, 100.0 * static_cast<double>(second), 0);
      const auto derived = node.derive(second * second_ns);
      shown.push_back(derived ? std::optional(derived->best->watts) : std::nullopt);
    }
    return shown;
  };
  using Shown = std::vector<std::optional<double>>;
  CHECK(tick(0, {1, 2, 3}) == Shown{0, std::nullopt, std::nullopt});  // at first only one of them is known
  CHECK(tick(1, {3, 1, 2}) == Shown{std::nullopt, std::nullopt, 300});
  // The third one hangs: once the first one comes again nothing is waited for, and each second has one value.
  CHECK(tick(2, {1, 2}) == Shown{std::nullopt, std::nullopt});
  CHECK(tick(3, {1, 2}) == Shown{300 + 200 + 100, std::nullopt});
  CHECK(tick(4, {1, 2}) == Shown{400 + 300 + 100, std::nullopt});
  CHECK(tick(5, {1, 2, 3}) == Shown{500 + 400 + 100, std::nullopt, 500 + 500 + 500});
  CHECK(tick(6, {1, 2, 3}) == Shown{std::nullopt, std::nullopt, 1800});
}

TEST_CASE("after two readings of each member the power is known, whichever order they come in") {
  for (const bool swapped : {false, true}) {
    NodePower node;
    std::optional<NodePower::Derived> derived;
    for (int second = 0; second < 2; ++second) {
      for (const unsigned id : {swapped ? 2U : 1U, swapped ? 1U : 2U}) {
        observe(node, package(id), second * second_ns, second == 0 ? std::nullopt : std::optional(100.0), 0);
        derived = node.derive(second * second_ns);
      }
    }
    REQUIRE(derived);
    CHECK(derived->best->watts == 200);
  }
}

TEST_CASE("a node with measured GPUs and a modelled package is mixed from the first figure on, and says how much") {
  NodePower node;
  node.settle(false);
  observe(node, gpu(9), second_ns, 70, 70);
  CHECK_FALSE(node.derive(second_ns));
  observe(node, modelled(3), second_ns, 5, 5);
  CHECK_FALSE(node.derive(second_ns));
  node.settle(true);
  const auto derived = node.derive(second_ns);
  REQUIRE(derived);
  CHECK(is(derived->best, NodeSource::mixed, 75));
  CHECK(derived->modelled_watts == 5);
  CHECK(derived->booked == 75);
  CHECK(derived->readings.size() == 1);
}

TEST_CASE("a GPU's power in the sum is its gauge where both were read together, else the mean of its counter") {
  NodePower node;
  const std::string labels = label_values({"0", "GPU-1"});
  const auto read = [&](std::int64_t now_ns, std::optional<double> gauge, std::optional<double> counted) {
    if (gauge) node.observe({SeriesId{8}, &gpu_power, labels, Origin::counter, gauge, 0, 0, now_ns, stale_ns});
    node.observe({SeriesId{9}, &gpu_energy, labels, Origin::counter, counted, 0, 0, now_ns, stale_ns});
    const auto derived = node.derive(now_ns);
    return derived && derived->best ? std::optional(derived->best->watts) : std::nullopt;
  };
  CHECK(read(0, 70, std::nullopt) == 70);
  CHECK(read(second_ns, 70, 77) == 70);
  CHECK(read(2 * second_ns, std::nullopt, 77) == 77);
  CHECK_FALSE(read(3 * second_ns, std::nullopt, std::nullopt));
}

TEST_CASE("the node's energy is the sum of its members' to the microjoule, and derived once per period") {
  std::mt19937_64 random(41);
  NodePower node;
  std::int64_t members_uj = 0;
  std::int64_t node_uj = 0;
  std::int64_t now_ns = 0;
  int derivations = 0;
  for (int tick = 0; tick < 1000; ++tick) {
    now_ns += second_ns;
    // Two packages with their memory, each in its own probe, in either order, the second one sometimes late.
    const bool swapped = random() % 2 == 0;
    for (const unsigned probe : {swapped ? 1U : 0U, swapped ? 0U : 1U}) {
      if (probe == 1 && random() % 10 == 0) continue;
      for (const Part& part : {package(10 + probe), dram(20 + probe)}) {
        const auto booked = static_cast<std::int64_t>(random() % 400'000'000);
        members_uj += booked;
        observe(node, part, now_ns, static_cast<double>(booked) / 1e6, booked);
      }
      if (const auto derived = node.derive(now_ns)) {
        ++derivations;
        node_uj += derived->booked;
      }
    }
  }
  CHECK(derivations >= 900);
  CHECK(derivations <= 1010);
  // Energy after the last derivation is booked by the next one.
  for (const unsigned id : {10U, 10U}) {
    observe(node, package(id), now_ns + second_ns, 1, 0);
    if (const auto derived = node.derive(now_ns + second_ns)) node_uj += derived->booked;
  }
  CHECK(node_uj == members_uj);
}

TEST_CASE("a member that falls silent makes the figure absent or the next source's, never smaller") {
  NodePower node;
  const std::vector<std::pair<Part, double>> supplies = {{sensor(1, "psu_in", "a"), 400},
                                                         {sensor(2, "psu_in", "b"), 390}};
  const std::vector<std::pair<Part, double>> parts = {{package(3), 280}, {gpu(4), 300}};
  const auto both = [&](std::int64_t at_s, std::size_t supplies_read, std::size_t parts_read) {
    auto read = supplies;
    read.resize(supplies_read);
    read.insert(read.end(), parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(parts_read));
    return second(node, at_s, read);
  };
  node.settle(false);
  CHECK_FALSE(both(0, 2, 2));
  node.settle(true);
  for (std::int64_t at_s = 1; at_s <= 20; ++at_s)
    CHECK(is(both(at_s, 2, 2), NodeSource::psu, 790));
  int absent = 0;
  for (std::int64_t at_s = 21; at_s <= 100; ++at_s) {
    const Best shown = both(at_s, 1, 2);
    if (!shown) ++absent;
    CHECK((!shown || is(shown, NodeSource::psu, 790) || is(shown, NodeSource::sum, 580)));
  }
  CHECK(absent <= 2);
  for (std::int64_t at_s = 101; at_s <= 121; ++at_s) {
    const Best shown = both(at_s, 1, 1);
    CHECK((!shown || is(shown, NodeSource::sum, 580)));
    if (at_s > 110) CHECK_FALSE(shown);
  }
  CHECK(node.note(130 * second_ns).find("perjoule_gpu_energy_joules_total{uuid=\"GPU-4\"} is silent") !=
        std::string::npos);
}

TEST_CASE("the time in which a source went on without a silent member is unobserved when another one takes over") {
  NodePower node;
  node.settle(false);
  std::int64_t unobserved_us = 0;
  std::int64_t booked = 0;
  for (std::int64_t at_s = 0; at_s <= 60; ++at_s) {
    if (at_s == 1) node.settle(true);
    for (const auto& [part, watts] : std::vector<std::pair<Part, double>>{
             {sensor(1, "psu_in", "a"), 400}, {sensor(2, "psu_in", "b"), 400}, {package(3), 300}}) {
      if (part.series == SeriesId{2} && at_s > 20) continue;
      observe(node, part, at_s * second_ns, watts, static_cast<std::int64_t>(watts));
      const auto derived = node.derive(at_s * second_ns);
      if (!derived) continue;
      booked += derived->booked;
      unobserved_us += derived->unobserved_us;
    }
  }
  // In second 30 the package was read after the last round of the supplies, so that this second is booked under both.
  CHECK(booked == 21 * 800 + 10 * 400 + 31 * 300);
  CHECK(unobserved_us == 10'000'000);
}

TEST_CASE("a source below the parts of the node is never shown, is refused after three readings, and comes back") {
  struct Case {
    Part part;
    double low;
    double well;
    NodeSource source;
  };
  for (const Case& of :
       {Case{sensor(1, "node"), 0, 400, NodeSource::meter}, Case{sensor(1, "psu_in"), 200, 400, NodeSource::psu},
        Case{psys(1), 100, 400, NodeSource::psys}}) {
    NodePower node;
    const std::vector<std::pair<Part, double>> parts = {{package(2), 100}, {dram(3), 30}, {gpu(4), 150}};
    const auto play = [&](std::int64_t at_s, double watts) {
      auto read = parts;
      read.insert(read.begin(), {of.part, watts});
      return second(node, at_s, read);
    };
    node.settle(false);
    CHECK_FALSE(play(0, of.low));
    node.settle(true);
    CHECK_FALSE(play(1, of.low));
    CHECK_FALSE(play(2, of.low));
    for (std::int64_t at_s = 3; at_s <= 20; ++at_s) {
      INFO(name(of.source) << " at " << at_s);
      CHECK(is(play(at_s, of.low), NodeSource::sum, 280));
    }
    CHECK(node.note(20 * second_ns).find("the node's parts draw 280 W") != std::string::npos);
    for (std::int64_t at_s = 21; at_s <= 22; ++at_s)
      CHECK(is(play(at_s, of.well), NodeSource::sum, 280));
    for (std::int64_t at_s = 23; at_s <= 40; ++at_s)
      CHECK(is(play(at_s, of.well), of.source, of.well));
    CHECK(node.note(40 * second_ns).empty());
    // Within 5 % or 10 W it is no contradiction: the readings are not of one moment.
    CHECK(is(play(41, 271), of.source, 271));
  }
}

TEST_CASE("the first source is chosen when the parts are known, or after 10 s") {
  const auto first_shown = [](std::int64_t counts_at_s) {
    NodePower node;
    node.settle(false);
    for (std::int64_t at_s = 1; at_s <= 30; ++at_s) {
      observe(node, package(2), at_s * second_ns, at_s < counts_at_s ? std::nullopt : std::optional(280.0), 0);
      node.settle(true);
      if (const Best shown = second(node, at_s, {{sensor(1, "node"), 0}})) return std::pair(at_s, shown->source);
    }
    return std::pair(std::int64_t{0}, NodeSource::modelled);
  };
  CHECK(first_shown(5) == std::pair(std::int64_t{7}, NodeSource::sum));
  CHECK(first_shown(100) == std::pair(std::int64_t{11}, NodeSource::meter));
}

TEST_CASE("a refusal is counted once, and a power supply's input below its output is one") {
  NodePower node;
  int refused = 0;
  node.settle(false);
  for (std::int64_t at_s = 1; at_s <= 10; ++at_s) {
    node.settle(at_s > 1);
    for (const auto& [part, watts] : std::vector<std::pair<Part, double>>{{sensor(1, "psu_in", "a"), 300},
                                                                          {sensor(2, "psu_in", "b"), 0},
                                                                          {sensor(3, "psu_out", "b"), 370},
                                                                          {package(4), 280}}) {
      observe(node, part, at_s * second_ns, watts, 0);
      const auto derived = node.derive(at_s * second_ns);
      if (!derived) continue;
      refused += static_cast<int>(derived->refused.size());
      if (derived->best) CHECK(derived->best->source == NodeSource::sum);
    }
  }
  CHECK(refused == 1);
  CHECK(node.note(10 * second_ns).find("the input of b shows 0 W, and its output 370 W") != std::string::npos);
}

TEST_CASE("the label stays for the first 10 s, and for 60 s after each change") {
  std::mt19937_64 random(7);
  NodePower node;
  std::optional<NodeSource> label;
  std::int64_t since_s = 0;
  bool first = true;
  int changes = 0;
  for (std::int64_t at_s = 1; at_s <= 5000; ++at_s) {
    std::vector<std::pair<Part, double>> read = {{package(3), 100}};
    if (at_s / 37 % 3 != 0) read.insert(read.begin(), {sensor(1, "node"), 500});
    if (random() % 4 != 0) read.insert(read.begin(), {sensor(2, "psu_in"), 480});
    const Best shown = second(node, at_s, read);
    if (!shown || shown->source == label) continue;
    if (label) {
      CHECK(at_s - since_s >= (first ? 10 : 60));
      first = false;
      ++changes;
    }
    label = shown->source;
    since_s = at_s;
  }
  CHECK(changes >= 10);
}

TEST_CASE(
    "a package whose counter stands is the model's, memory that stands is left out, and no joule is booked twice") {
  NodePower node;
  std::int64_t booked = 0;
  std::int64_t truth = 0;
  std::vector<Best> shown;
  for (std::int64_t at_s = 1; at_s <= 200; ++at_s) {
    node.settle(at_s > 1);
    const bool stands = at_s > 50 && at_s <= 120;
    const auto read = [&](const Part& part, std::optional<double> watts, std::int64_t energy, bool still) {
      observe(node, part, at_s * second_ns, watts, energy, 0, still);
      if (const auto derived = node.derive(at_s * second_ns)) {
        booked += derived->booked;
        shown.push_back(derived->best);
      }
    };
    // A model that is always asked runs beside the counter.
    read(package(1), stands ? std::nullopt : std::optional(100.0), stands ? 0 : 100, stands);
    read(model_of(1), 90, 90, false);
    read(dram(2), std::nullopt, 0, true);
    read(gpu(3), 200, 200, false);
    truth += 200 + (stands ? 90 : 100);
  }
  CHECK(booked == truth);
  CHECK(is(shown.front(), NodeSource::sum, 300));
  CHECK(is(shown[100], NodeSource::mixed, 290));
  CHECK(is(shown.back(), NodeSource::sum, 300));
}

TEST_CASE("a GPU that is suspended is not silent") {
  NodePower node;
  const Part board = gpu(2);
  for (std::int64_t at_s = 1; at_s <= 60; ++at_s) {
    node.settle(at_s > 1);
    const bool sleeps = at_s > 20 && at_s <= 40;
    const double watts = sleeps ? 0 : 70;
    if (sleeps) {
      node.observe(
          {SeriesId{3}, &gpu_runtime_suspended, board.labels, Origin::counter, 1, 0, 0, at_s * second_ns, stale_ns});
      CHECK(is(second(node, at_s, {{package(1), 100}}), NodeSource::sum, 100 + watts));
    } else {
      const Best shown = second(node, at_s, {{package(1), 100}, {board, watts}});
      // Until it is read again, it is taken to sleep.
      if (at_s > 1 && at_s != 41) CHECK(is(shown, NodeSource::sum, 100 + watts));
    }
  }
}

TEST_CASE("nothing is shown before the members of the last run are read, or 10 s have passed") {
  const auto first_shown = [](std::int64_t board_at_s) {
    NodePower node;
    node.expect({"perjoule_gpu_energy_joules_total{uuid=\"GPU-2\"}"});
    for (std::int64_t at_s = 1; at_s <= 30; ++at_s) {
      std::vector<std::pair<Part, double>> read = {{package(1), 100}};
      if (at_s >= board_at_s) read.emplace_back(gpu(2), 70);
      if (const Best shown = second(node, at_s, read)) return std::pair(at_s, shown->watts);
    }
    return std::pair(std::int64_t{0}, 0.0);
  };
  CHECK(first_shown(1) == std::pair(std::int64_t{1}, 170.0));
  CHECK(first_shown(4) == std::pair(std::int64_t{4}, 170.0));
  CHECK(first_shown(100) == std::pair(std::int64_t{11}, 100.0));
}

TEST_CASE("members of a closed device are awaited for an hour, after a reload for 10 s; their energy is not lost") {
  for (const bool reload : {false, true}) {
    NodePower node;
    for (std::int64_t at_s = 0; at_s <= 2; ++at_s) {
      node.settle(at_s > 0);
      const Best shown = second(node, at_s, {{package(1), 100}, {gpu(2), 70}});
      if (at_s == 2) CHECK(is(shown, NodeSource::sum, 170));
    }
    observe(node, gpu(2), 3 * second_ns, 70, 70'000'000);
    CHECK_FALSE(node.derive(3 * second_ns));
    if (reload) node.reload();
    node.close({gpu(2).series}, 3 * second_ns);
    std::int64_t at_s = 3;
    std::int64_t booked = 0;
    while (at_s < 5000 && booked == 0) {
      observe(node, package(1), at_s * second_ns, 100, 100'000'000);
      if (const auto derived = node.derive(at_s * second_ns)) booked = derived->booked;
      ++at_s;
    }
    CHECK(at_s == (reload ? 14 : 3604));
    CHECK(booked == (at_s - 3) * 100'000'000 + 70'000'000);
  }
}

TEST_CASE("when the source changes, energy is booked under the source that is best then, and no joule twice") {
  NodePower node;
  const Part meter = sensor(1, "node");
  std::int64_t booked[2] = {0, 0};
  for (int tick = 0; tick < 100; ++tick) {
    const std::int64_t now_ns = tick * second_ns;
    const bool metered = tick < 30 || tick >= 60;
    if (metered) observe(node, meter, now_ns, 500, 500);
    observe(node, package(2), now_ns, 100, 100);
    const auto derived = node.derive(now_ns);
    if (!derived || !derived->best) continue;
    booked[derived->best->source == NodeSource::meter ? 0 : 1] += derived->booked;
    if (derived->best->source == NodeSource::meter) CHECK(derived->readings.size() == 2);
  }
  // While the meter's last value is still fresh nothing is derived. Then the package has all of that time, and the
  // label stays for a minute.
  CHECK(booked[0] == 30 * 500);
  CHECK(booked[1] == 70 * 100);
}

TEST_CASE("of several meters the largest is shown, one is booked, and another takes over when that one is stale") {
  NodePower node;
  observe(node, sensor(1, "node"), 0, 480, 480);
  observe(node, sensor(2, "node"), 0, 500, 500);
  const auto both = node.derive(0);
  REQUIRE(both);
  CHECK(both->best->watts == 500);
  CHECK(both->booked == 480);
  std::int64_t booked = 0;
  for (int tick = 1; tick <= 30; ++tick) {
    observe(node, sensor(2, "node"), tick * second_ns, 500, 500);
    if (const auto derived = node.derive(tick * second_ns)) booked += derived->booked;
  }
  // Nothing is derived until the first meter is stale; the second one then books all of that time.
  CHECK(booked == 30 * 500);
}

TEST_CASE("the node's gap is the longest gap of its members, only while their source is the best one") {
  NodePower node;
  observe(node, package(1), 0, 100, 0);
  observe(node, package(2), 0, 100, 0, 3'000'000);
  CHECK(node.derive(0)->unobserved_us == 3'000'000);
  observe(node, package(1), second_ns, 100, 0, 2'000'000);
  observe(node, package(2), second_ns, 100, 0);
  CHECK(node.derive(second_ns)->unobserved_us == 0);
  // Gaps of a meter from before it became the best source are not gaps of the node.
  observe(node, sensor(9, "node"), 20 * second_ns, 500, 0, 90'000'000);
  observe(node, package(1), 20 * second_ns, 100, 0);
  observe(node, package(2), 20 * second_ns, 100, 0);
  const auto changed = node.derive(20 * second_ns);
  REQUIRE(changed);
  CHECK(changed->hidden == NodeSource::sum);
  CHECK(changed->unobserved_us == 0);
  observe(node, sensor(9, "node"), 21 * second_ns, 500, 0, 1'000'000);
  CHECK(node.derive(21 * second_ns)->unobserved_us == 1'000'000);
}
