// The collector with the stand-in library: dlopen, make, sample. The test sets the time by writing a file.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "collectors/collector.hpp"
#include "collectors/gpu/nvml_api.hpp"
#include "collectors/gpu/nvml_session.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

namespace perjoule {
extern const Entry nvml_entry;
}

using namespace perjoule;

namespace {

class Host {
 public:
  explicit Host(const std::string& scenario) {
    set("PERJOULE_NVML_SCENARIO", PERJOULE_SOURCE_DIR "/tests/fixtures/nvml/" + scenario + ".json");
    set("NVML_STAND_IN_TIME", tree.at("time").native());
    set("NVML_STAND_IN_CONTROL", tree.at("control").native());
    second(1);
    roots = tree.roots();
    roots.nvml = PERJOULE_NVML_STAND_IN;
  }
  ~Host() {
    for (const char* name : {"PERJOULE_NVML_SCENARIO", "NVML_STAND_IN_TIME", "NVML_STAND_IN_CONTROL"})
      ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void second(double seconds) const { tree.write("time", fmt::format("{}", seconds)); }
  void control(const std::string& name) const { tree.write("control/" + name, ""); }
  void release(const std::string& name) const { tree.remove("control/" + name); }
  Result<std::vector<Probe>> discover(std::vector<std::string> watched = {}) {
    return nvml_entry.make_numbered({}, roots, {inventory, std::move(watched), call});
  }
  // Discovery, and then what each board's own lane does. Boards that fail are in `failed`.
  Result<std::vector<Probe>> look(std::vector<std::string> watched = {}) {
    failed.clear();
    Result<std::vector<Probe>> found = discover(std::move(watched));
    if (!found) return found.error();
    std::vector<Probe> probes;
    for (Probe& probe : *found) {
      Result<Probe> known = probe.identify ? probe.identify() : Result<Probe>(std::move(probe));
      if (known) probes.push_back(std::move(*known));
      if (!known) failed.emplace(probe.device, known.error());
    }
    return probes;
  }
  void board(std::string_view bus, std::string_view file, const std::string& text) const {
    tree.write(fmt::format("sys/bus/pci/devices/0000:{}:00.0/{}", bus, file), text + "\n");
  }
  void on_bus(std::initializer_list<std::string_view> buses = {"18", "2a", "3a", "5d"}) const {
    for (const std::string_view bus : buses) {
      board(bus, "vendor", "0x10de");
      board(bus, "class", "0x030200");
    }
  }

  Tree tree;
  Roots roots;
  std::shared_ptr<Inventory> inventory = std::make_shared<Inventory>();
  std::shared_ptr<DiscoveryCall> call = std::make_shared<DiscoveryCall>();
  std::map<std::string, Error> failed;  // by the name under which the board shows

 private:
  static void set(const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
};

std::vector<std::string> sampled(const Probe& probe) {
  Batch batch;
  const Result<void> result = probe.collector->sample(batch);
  REQUIRE_MESSAGE(result.has_value(), (result ? std::string() : result.error().what));
  return lines(batch);
}

std::size_t starting(const std::vector<std::string>& all, std::string_view begin) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const std::string& line) { return line.starts_with(begin); }));
}

std::string uuid(int board) {
  return fmt::format("GPU-00000100-57a1-4d1e-9e0{0}-0000000000{0:02}", board);
}

}  // namespace

TEST_CASE("eight H100: every value equals the scenario's, in base units") {
  Host host("h100_load");
  host.second(100);
  const auto probes = host.look();
  REQUIRE(probes.has_value());
  REQUIRE(probes->size() == 8);
  for (int board = 0; board < 8; ++board) {
    CHECK((*probes)[static_cast<std::size_t>(board)].device == uuid(board));
    CHECK_FALSE((*probes)[static_cast<std::size_t>(board)].jitter);
  }
  const std::string g = R"({gpu="7",uuid=")" + uuid(7) + '"';
  const std::string counted = " wrap 0 max 1 " + uuid(7) + " counter";
  const std::string seen = " max 1 " + uuid(7) + " integrated";
  std::vector<std::string> expected = {
      "perjoule_gpu_info" + g + R"(,name="NVIDIA H100 80GB HBM3",vendor="nvidia",driver_version="590.48.01")" +
          R"(,vbios_version="96.00.61.00.02",pci_bus_id="0000:db:00.0"} 1)",
      "perjoule_gpu_power_watts" + g + "} 595.9",
      "perjoule_gpu_power_instant_watts" + g + "} 589.63",
      "perjoule_gpu_power_limit_watts" + g + "} 700",
      "perjoule_gpu_power_limit_default_watts" + g + "} 700",
      "perjoule_gpu_power_limit_min_watts" + g + "} 200",
      "perjoule_gpu_power_limit_max_watts" + g + "} 700",
      "perjoule_gpu_energy_joules_total" + g + "} meter 59590000000 wrap 0 max 700 " + uuid(7) + " counter",
      "perjoule_gpu_temperature_celsius" + g + ",sensor=\"core\"} 59",
      "perjoule_gpu_temperature_celsius" + g + ",sensor=\"memory\"} 56",
      "perjoule_gpu_thermal_margin_celsius" + g + "} 28",
      "perjoule_gpu_utilization_ratio" + g + "} 1",
      "perjoule_gpu_engine_utilization_ratio" + g + ",engine=\"memory\"} 0.11",
      "perjoule_gpu_engine_utilization_ratio" + g + ",engine=\"encoder\"} 0",
      "perjoule_gpu_engine_utilization_ratio" + g + ",engine=\"decoder\"} 0",
      "perjoule_gpu_engine_utilization_ratio" + g + ",engine=\"jpeg\"} 0",
      "perjoule_gpu_engine_utilization_ratio" + g + ",engine=\"ofa\"} 0",
      "perjoule_gpu_memory_used_bytes" + g + "} 17566793728",
      "perjoule_gpu_memory_total_bytes" + g + "} 85520809984",
      "perjoule_gpu_clock_hertz" + g + ",domain=\"sm\"} 1875000000",
      "perjoule_gpu_clock_hertz" + g + ",domain=\"memory\"} 2619000000",
      "perjoule_gpu_clock_hertz" + g + ",domain=\"video\"} 1545000000",
      "perjoule_gpu_clock_idle_active" + g + "} 0",
      "perjoule_gpu_runtime_suspended" + g + "} 0",
      "perjoule_gpu_processes" + g + "} 3",
      "perjoule_gpu_holding_processes" + g + "} 3",
      "perjoule_gpu_throttled_seconds_total" + g + "} meter 0" + counted,
  };
  for (const char* reason : {"sw_power_cap", "sw_thermal", "hw_thermal", "hw_power_brake", "sync_boost"}) {
    const bool active = std::string_view(reason) == "sw_power_cap";
    expected.push_back(fmt::format("perjoule_gpu_throttle_active{},reason=\"{}\"}} {}", g, reason, active ? "1" : "0"));
  }
  for (const char* reason :
       {"sync_boost", "board_limit", "reliability", "thermal", "sw_thermal", "hw_thermal", "hw_power_brake"})
    expected.push_back(
        fmt::format("perjoule_gpu_throttle_seconds_total{},reason=\"{}\"}} meter 0{}", g, reason, counted));
  expected.push_back("perjoule_gpu_throttle_seconds_total" + g + ",reason=\"sw_power_cap\"} meter 25000000" + counted);
  std::sort(expected.begin(), expected.end());
  const auto got = sampled((*probes)[7]);
  for (const std::string& line : expected)
    CHECK_MESSAGE(contains(got, line), line);
  for (const std::string& line : got)
    CHECK_MESSAGE(contains(expected, line), line);
}

TEST_CASE("a consumer board without counter, margin or memory sensor shows what it has, and nothing else") {
  Host host("consumer");
  const auto probes = host.look();
  REQUIRE(probes.has_value());
  REQUIRE(probes->size() == 1);
  const auto got = sampled(probes->front());
  const std::string g = R"({gpu="0",uuid=")" + probes->front().device + '"';
  CHECK(contains(got, "perjoule_gpu_energy_joules_total" + g + "} integrate 104.5 max 350 " + probes->front().device +
                          " integrated rate perjoule_gpu_power_watts"));
  CHECK(contains(got, "perjoule_gpu_power_instant_watts" + g + "} 104.5"));
  CHECK(contains(got, "perjoule_gpu_thermal_margin_celsius" + g + "} 55"));
  CHECK(contains(got, "perjoule_gpu_temperature_limit_celsius" + g + ",sensor=\"core\",limit=\"slowdown\"} 93"));
  CHECK(contains(got, "perjoule_gpu_temperature_limit_celsius" + g + ",sensor=\"core\",limit=\"shutdown\"} 96"));
  CHECK(contains(got, "perjoule_gpu_temperature_limit_celsius" + g + ",sensor=\"core\",limit=\"max_operating\"} 89"));
  CHECK(contains(got, "perjoule_gpu_power_limit_max_watts" + g + "} 350"));
  CHECK(contains(got, "perjoule_gpu_throttle_seconds_total" + g +
                          ",reason=\"sw_power_cap\"} meter 100000 wrap 0 max 1 " + probes->front().device +
                          " counter"));
  CHECK(starting(got, "perjoule_gpu_engine_utilization_ratio") == 3);
  CHECK(starting(got, "perjoule_gpu_temperature_celsius") == 1);
  CHECK(starting(got, "perjoule_gpu_module_power_watts") == 0);
}

TEST_CASE("before Volta power is integrated from samples with jitter") {
  Host host("old");
  const auto probes = host.look();
  REQUIRE(probes.has_value());
  CHECK(probes->front().jitter);
  const auto got = sampled(probes->front());
  CHECK(starting(got, "perjoule_gpu_throttle_active") == 3);
  CHECK(starting(got, "perjoule_gpu_memory_used_bytes") == 1);
  CHECK(starting(got, "perjoule_gpu_processes") == 1);
}

TEST_CASE("missing symbols of a driver are treated as unsupported") {
  Host host("missing_symbols");
  const auto probes = host.look();
  REQUIRE(probes.has_value());
  const auto got = sampled(probes->front());
  CHECK(starting(got, "perjoule_gpu_power_watts") == 1);
  CHECK(starting(got, "perjoule_gpu_energy_joules_total") == 1);
  CHECK(starting(got, "perjoule_gpu_temperature_celsius") == 2);
  CHECK(starting(got, "perjoule_gpu_power_limit") == 4);
  CHECK(starting(got, "perjoule_gpu_memory_used_bytes") == 1);
  for (const char* family : {"perjoule_gpu_utilization_ratio", "perjoule_gpu_engine_utilization_ratio",
                             "perjoule_gpu_clock_hertz", "perjoule_gpu_throttle_active", "perjoule_gpu_processes"}) {
    CHECK(starting(got, family) == 0);
  }
}

TEST_CASE("implausible values are refused and counted, the good ones stay") {
  Host host("garbage");
  const auto probes = host.look();
  REQUIRE(probes.has_value());
  Batch batch;
  REQUIRE(probes->front().collector->sample(batch).has_value());
  const auto got = lines(batch);
  CHECK(batch.refused_count() >= 9);
  const auto reported = [&batch](std::string_view item) -> std::string {
    for (const ItemFault& fault : batch.faults()) {
      if (fault.item == item) return fault.error.what;
    }
    return {};
  };
  CHECK(reported("core temperature") == "implausible reading 250 C (plausible: -50 to 200 C), ignored");
  CHECK(reported("instant power") == "implausible reading 4000000000 mW (plausible: above 0, up to 2100 W), ignored");
  for (const char* family :
       {"perjoule_gpu_power_watts", "perjoule_gpu_power_instant_watts", "perjoule_gpu_power_limit_watts",
        "perjoule_gpu_energy", "perjoule_gpu_temperature_celsius", "perjoule_gpu_thermal_margin",
        "perjoule_gpu_utilization_ratio", "perjoule_gpu_memory", "perjoule_gpu_processes",
        "perjoule_gpu_clock_hertz{gpu=\"0\",uuid=\""}) {
    CAPTURE(family);
    CHECK(starting(got, family) == (std::string_view(family).starts_with("perjoule_gpu_clock") ? 2 : 0));
  }
  CHECK(starting(got, "perjoule_gpu_engine_utilization_ratio") == 4);
  CHECK(starting(got, "perjoule_gpu_power_limit_max_watts") == 1);
}

TEST_CASE("no library, no driver, no board: absent; a board without a driver is an error") {
  Host host("none");
  CHECK(host.look().error().fault == Fault::absent);
  host.control("unloaded");
  CHECK(host.look().error().fault == Fault::absent);
  host.tree.write("sys/bus/pci/devices/0000:18:00.0/vendor", "0x10de");
  host.tree.write("sys/bus/pci/devices/0000:18:00.0/class", "0x030200");
  const auto unloaded = host.look();
  CHECK(unloaded.error().fault == Fault::broken);
  CHECK(unloaded.error().remedy.find("modprobe nvidia") != std::string::npos);
  CHECK(host.inventory->expected() == 1);
  host.roots.nvml = "libno-such-library.so.1";
  const auto missing = host.look();
  CHECK(missing.error().fault == Fault::absent);
  CHECK_FALSE(missing.error().remedy.empty());
}

TEST_CASE("a library that does not match the kernel's driver is reported with a remedy") {
  Host host("mismatch");
  host.tree.write("sys/bus/pci/devices/0000:18:00.0/vendor", "0x10de");
  host.tree.write("sys/bus/pci/devices/0000:18:00.0/class", "0x030200");
  const auto made = host.look();
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().fault == Fault::broken);
  CHECK(made.error().what.find("NVML_ERROR_LIB_RM_VERSION_MISMATCH (18)") != std::string::npos);
  CHECK(made.error().remedy.find("reboot") != std::string::npos);
}

TEST_CASE("an invalid scenario is not played") {
  Host host("../sysfs/rapl_amd/class/powercap/intel-rapl:0/name");
  CHECK_FALSE(host.look().has_value());
}

TEST_CASE("discovery calls no board: it returns while one hangs, known or not, on the bus or by index") {
  Host host("lost_and_back");
  host.control("hang-1");  // a touch would hang this test
  CHECK(host.discover()->size() == 4);
  CHECK(host.discover()->at(1).device == "index 1");
  host.on_bus();
  const auto first = host.discover();
  REQUIRE(first->size() == 4);
  CHECK(first->at(1).device == "0000:2a:00.0");
  CHECK(first->at(2).identify()->device == uuid(2));
  host.inventory->load("0 0000:18:00.0 A\n1 0000:2a:00.0 B\n2 0000:3a:00.0 C\n3 0000:5d:00.0 D\n");
  const auto again = host.discover({"A", "C", "D"});
  REQUIRE(again->size() == 1);
  CHECK(again->front().device == "B");
  CHECK(host.call->state().call == "nvmlInit");
  CHECK(host.call->state().devices == std::vector<std::string>{"B"});
  CHECK(host.discover({"A", "B", "C", "D"})->empty());
  host.release("hang-1");
}

TEST_CASE(
    "by index: known boards show under their UUIDs, numbers follow the indices, boards are asked again on a change") {
  Host host("lost_and_back");
  const auto first = host.discover();
  // They answer in another order than that of their addresses.
  for (const std::size_t index : {3U, 1U, 0U, 2U}) {
    const auto probe = first->at(index).identify();
    REQUIRE(probe.has_value());
    CHECK(starting(sampled(*probe), fmt::format("perjoule_gpu_info{{gpu=\"{}\"", index)) == 1);
  }
  CHECK(host.inventory->boards()[3].address == "0000:5d:00.0");
  const auto again = host.discover();
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(again->at(i).device == uuid(static_cast<int>(i)));
  CHECK(host.discover({uuid(0), uuid(1), uuid(2), uuid(3)})->empty());
  const auto one_missing = host.discover({uuid(0), uuid(1), uuid(3)});
  REQUIRE(one_missing->size() == 4);  // the new board may have taken another index, so all are asked
  CHECK(one_missing->at(1).device == "index 1");
  CHECK(one_missing->at(2).device == uuid(2));
}

TEST_CASE("a board without a PCI address is known by its UUID alone") {
  Host host("integrated");
  const auto probes = host.look();
  REQUIRE(probes->size() == 1);
  const auto got = sampled(probes->front());
  CHECK(starting(got, R"(perjoule_gpu_info{gpu="0",uuid=")" + probes->front().device) == 1);
  CHECK(std::any_of(got.begin(), got.end(),
                    [](const std::string& line) { return line.find(R"(pci_bus_id="")") != std::string::npos; }));
  CHECK(host.look({probes->front().device})->empty());
}

TEST_CASE("a board that was lost before the start shows its error under its address") {
  Host host("lost_and_back");
  host.on_bus();
  host.second(11);
  CHECK(host.look()->size() == 3);
  REQUIRE(host.failed.contains("0000:3a:00.0"));
  const Error& error = host.failed.at("0000:3a:00.0");
  CHECK(error.what == "nvmlDeviceGetHandleByPciBusId_v2: NVML_ERROR_GPU_IS_LOST (15)");
  CHECK(error.remedy.find("xid.*0000:3a:00") != std::string::npos);
  CHECK(host.inventory->expected() == 4);
  // By index there is no address to look for.
  Host container("lost_and_back");
  container.second(11);
  CHECK(container.look()->size() == 3);
  CHECK(container.failed.at("index 2").remedy.find("grep -i 'xid' shows") != std::string::npos);
}

TEST_CASE("a PCI address is read within its field, with or without a NUL") {
  struct {
    nvml::PciInfo pci;
    char behind[32];
  } driver{};
  std::memset(&driver, 'A', sizeof(driver));
  CHECK(nvml::kernel_address(driver.pci).size() <= sizeof(driver.pci.bus_id));
  std::memcpy(driver.pci.bus_id, "00000000:1B:00.0", 17);
  CHECK(nvml::kernel_address(driver.pci) == "0000:1b:00.0");
}

TEST_CASE("lost and back: broken at once, an error until it returns, and then the same board again") {
  Host host("lost_and_back");
  host.on_bus();
  auto probes = host.look();
  REQUIRE(probes->size() == 4);
  const auto before = sampled((*probes)[2]);
  host.second(11);
  Batch batch;
  const Result<void> lost = (*probes)[2].collector->sample(batch);
  CHECK(lost.error().fault == Fault::broken);
  CHECK(sampled((*probes)[1]).size() == before.size());
  CHECK(host.look({uuid(0), uuid(1), uuid(3)})->empty());
  CHECK(host.failed.at(uuid(2)).what.find("NVML_ERROR_GPU_IS_LOST (15)") != std::string::npos);
  // A restart while it is missing: its slot is kept, and it shows under its UUID.
  auto restarted = std::make_shared<Inventory>();
  restarted->load(host.inventory->text());
  host.inventory = restarted;
  auto after = host.look();
  REQUIRE(after->size() == 3);
  CHECK(host.failed.contains(uuid(2)));
  CHECK(starting(sampled((*after)[2]), "perjoule_gpu_info{gpu=\"3\"") == 1);
  host.second(26);
  const auto back = host.look();
  CHECK(starting(sampled((*back)[2]), "perjoule_gpu_info{gpu=\"2\"") == 1);
}

TEST_CASE("a reload of the driver: every probe is broken, and new ones read counters that restarted at 0") {
  Host host("reload");
  auto probes = host.look();
  REQUIRE(probes->size() == 4);
  const std::string energy = R"(perjoule_gpu_energy_joules_total{gpu="0",uuid=")" + uuid(0) + R"("} meter )";
  host.second(9);
  CHECK(starting(sampled(probes->front()), energy + "129077400000 ") == 1);
  Batch batch;
  for (const double second : {11.0, 15.0}) {
    host.second(second);
    for (const Probe& probe : *probes) {
      const Result<void> result = probe.collector->sample(batch);
      REQUIRE_FALSE(result.has_value());
      CHECK(result.error().fault == Fault::broken);
    }
  }
  // While old probes hold the old session no new one can be opened: NVML counts initialisations.
  CHECK_FALSE(host.look().has_value());
  probes->clear();
  host.second(11);
  const auto unloaded = host.look();
  CHECK(unloaded.error().what.find("DRIVER_NOT_LOADED") != std::string::npos);
  host.second(20);
  probes = host.look();
  REQUIRE(probes.has_value());
  REQUIRE(probes->size() == 4);
  CHECK(starting(sampled(probes->front()), energy + "3747600000 ") == 1);
}

TEST_CASE("a suspended board is not woken: a known one has a probe, an unknown one gets it when it wakes") {
  Host host("lost_and_back");
  host.on_bus();
  for (const char* bus : {"18", "2a", "3a", "5d"})
    host.board(bus, "power/runtime_status", "suspended");
  CHECK(host.look()->empty());
  CHECK(host.failed.at("0000:2a:00.0").fault == Fault::absent);
  CHECK(host.inventory->expected() == 4);
  host.board("2a", "power/runtime_status", "active");
  auto probes = host.look();
  REQUIRE(probes->size() == 1);
  CHECK(starting(sampled(probes->front()), "perjoule_gpu_info{gpu=\"1\"") == 1);
  const std::string suspended = R"(perjoule_gpu_runtime_suspended{gpu="1",uuid=")" + uuid(1) + "\"} ";
  CHECK(contains(sampled(probes->front()), suspended + "0"));
  host.board("2a", "power/runtime_status", "suspended");
  host.control("hang-1");  // a touch would hang this test
  probes = host.look();
  REQUIRE(probes->size() == 1);
  CHECK(sampled(probes->front()) == std::vector<std::string>{suspended + "1"});
  host.release("hang-1");
  host.board("2a", "power/runtime_status", "active");
  CHECK(starting(sampled(probes->front()), "perjoule_gpu_info{gpu=\"1\"") == 1);
}
