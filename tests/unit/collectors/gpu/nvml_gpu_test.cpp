// One board through a fake function table: the calls, the readings, and the reaction to each error.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "collectors/gpu/nvml_gpu.hpp"
#include "tests/fakes/nvml_table.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;
using fakes::FakeNvml;
using nvml::Return;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
std::int64_t time_ns = 0;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

const std::string labels = R"({gpu="0",uuid="GPU-fake")";

struct Rig {
  explicit Rig(std::optional<std::filesystem::path> runtime_status = {}, const nvml::Processes& processes = {{}, {}}) {
    time_ns = 1'000 * second_ns;
    const auto session = nvml::Session::open(FakeNvml::table());
    REQUIRE(session.has_value());
    const nvml::Board board{{"0", "GPU-fake"}, {"0000:1b:00.0", 0}, "0000:1b:00.0", std::move(runtime_status)};
    gpu = std::make_unique<nvml::Gpu>(*session, board, processes, [] { return time_ns; });
    nvml.numbers["memory_total"] = 1 << 30;
    nvml.numbers["supported"] = 0xff;
    nvml.numbers["temperature"] = 40;
    nvml.field(nvml::field::memory_temperature, 50);
  }
  Result<void> sample() {
    batch.clear();
    return gpu->sample(batch);
  }
  std::vector<std::string> after(std::int64_t seconds) {
    time_ns += seconds * second_ns;
    REQUIRE(sample().has_value());
    return lines(batch);
  }
  FakeNvml nvml;
  std::unique_ptr<nvml::Gpu> gpu;
  Batch batch;
};

bool shows(const std::vector<std::string>& all, std::string_view begin) {
  return std::any_of(all.begin(), all.end(), [&](const std::string& line) { return line.starts_with(begin); });
}

}  // namespace

TEST_CASE("a query that is not supported is repeated after ten minutes, not at each tick") {
  Rig rig;
  rig.nvml.results["encoder"] = Return::not_supported;
  rig.nvml.results["ofa"] = Return::deprecated;
  REQUIRE(rig.sample().has_value());
  CHECK_FALSE(shows(lines(rig.batch), "perjoule_gpu_engine_utilization_ratio" + labels + ",engine=\"encoder\""));
  CHECK(rig.batch.fault_count() == 0);
  for (int tick = 0; tick < 599; ++tick)
    rig.after(1);
  CHECK(rig.nvml.calls["encoder"] == 1);
  CHECK(rig.nvml.calls["decoder"] == 600);
  CHECK(rig.nvml.calls["ofa"] == 1);
  rig.nvml.results.erase("encoder");
  CHECK(shows(rig.after(2), "perjoule_gpu_engine_utilization_ratio" + labels + ",engine=\"encoder\""));
  CHECK(rig.nvml.calls["encoder"] == 2);
}

TEST_CASE("a tick of a board that supports everything makes few calls") {
  Rig rig;
  for (const std::uint32_t field : {74U, 75U, 76U, 77U, 79U, 80U, 82U, 83U, 185U, 186U, 187U, 188U, 189U, 190U, 194U})
    rig.nvml.field(field, 50'000);
  REQUIRE(rig.sample().has_value());
  rig.nvml.calls.clear();
  REQUIRE(rig.sample().has_value());
  CHECK(rig.nvml.total() <= 14);
  CHECK(rig.nvml.calls["fields"] == 1);
}

TEST_CASE("a lost board ends the tick at once: no further call is made, and the probe is created again") {
  const std::pair<const char*, Return> deadly[] = {{"utilization", Return::gpu_is_lost},
                                                   {"fields", Return::uninitialized},
                                                   {"clock", Return::driver_not_loaded},
                                                   {"memory_used", Return::reset_required}};
  for (const auto& dead : deadly) {
    const std::string call = dead.first;
    const Return result = dead.second;
    CAPTURE(call);
    Rig rig;
    REQUIRE(rig.sample().has_value());
    rig.nvml.results[call] = result;
    rig.nvml.calls.clear();
    const Result<void> sampled = rig.sample();
    REQUIRE_FALSE(sampled.has_value());
    CHECK(sampled.error().fault == Fault::broken);
    CHECK(sampled.error().what.find(nvml::name(result)) != std::string::npos);
    CHECK(rig.nvml.calls[call] == 1);
    CHECK(rig.nvml.calls["processes"] == 0);
  }
}

TEST_CASE("invalid handles: every call fails, and the probe is created again") {
  Rig rig;
  for (const auto& [call, count] : (static_cast<void>(rig.sample()), rig.nvml.calls))
    rig.nvml.results[call] = Return::invalid_argument;
  const Result<void> sampled = rig.sample();
  REQUIRE_FALSE(sampled.has_value());
  CHECK(sampled.error().fault == Fault::broken);
}

TEST_CASE("each return value maps to a fault, and to a remedy where there is one") {
  const struct {
    Return result;
    Fault fault;
    const char* remedy;
  } expected[] = {{Return::no_permission, Fault::denied, "/dev/nvidia"},
                  {Return::driver_not_loaded, Fault::broken, "modprobe nvidia"},
                  {Return::version_mismatch, Fault::broken, "reboot"},
                  {Return::gpu_is_lost, Fault::broken, "xid.*0000:1b:00'"},
                  {Return::reset_required, Fault::broken, "nvidia-smi --gpu-reset -i 0000:1b:00.0"},
                  {Return::timeout, Fault::transient, ""},
                  {Return::unknown, Fault::transient, "dmesg"},
                  {static_cast<Return>(77), Fault::transient, ""}};
  for (const auto& of : expected) {
    const Error error = nvml::error_of(of.result, "nvmlCall", "0000:1b:00.0");
    CAPTURE(error.what);
    CHECK(error.fault == of.fault);
    CHECK(error.lost == (of.result == Return::gpu_is_lost));
    CHECK(error.what.starts_with("nvmlCall: "));
    CHECK(error.remedy.find(of.remedy) != std::string::npos);
    CHECK(error.what.find(std::to_string(static_cast<std::uint32_t>(of.result))) != std::string::npos);
  }
}

TEST_CASE("services of the host do not hold a GPU; their names are read again each minute") {
  const Tree tree(
      {{"proc/100/comm", "nvidia-cuda-mps\n"}, {"proc/101/comm", "nvidia-persiste\n"}, {"proc/102/comm", "python3\n"}});
  Rig rig({}, {tree.at("proc"), {"nvidia-cuda-mps-server", "nvidia-persistenced", "Xorg"}});
  const auto holding = [&](const std::string& processes, const std::string& held) {
    const auto shown = rig.after(1);
    CHECK(shows(shown, "perjoule_gpu_processes" + labels + "} " + processes));
    CHECK(shows(shown, "perjoule_gpu_holding_processes" + labels + "} " + held));
  };
  holding("0", "0");
  rig.nvml.numbers["processes"] = 3;
  holding("3", "1");
  CHECK(rig.nvml.calls["processes"] == 3);  // the first call with room for none
  rig.nvml.numbers["processes"] = 4;        // one without a name that can be read
  holding("4", "2");
  CHECK(rig.nvml.calls["processes"] == 4);
  tree.write("proc/102/comm", "Xorg\n");
  holding("4", "2");
  time_ns += 60 * second_ns;
  holding("4", "1");
  rig.nvml.numbers["processes"] = 5000;  // too many to list
  holding("5000", "5000");
}

TEST_CASE("the ids of three throttle times are those of the driver's release, and unknown for one that is newer") {
  CHECK(nvml::reason_fields_of("570.158.01") == 0);
  CHECK(nvml::reason_fields_of("575.57.08") == 251);
  CHECK(nvml::reason_fields_of("580.105.08") == 251);
  CHECK(nvml::reason_fields_of("590.48.01") == 269);
  CHECK(nvml::reason_fields_of("610.57.04") == 269);
  CHECK(nvml::reason_fields_of("615.10") == 0);
  for (const char* text : {"", "590", "x", "-590.1", "99999999999.1"})
    CHECK(nvml::reason_fields_of(text) == 0);
}

TEST_CASE("a failure of one item costs that item and is counted") {
  Rig rig;
  rig.nvml.results["clock"] = Return::timeout;
  rig.nvml.results["temperature"] = Return::no_permission;
  REQUIRE(rig.sample().has_value());
  CHECK(rig.batch.fault_count() == 4);
  CHECK_FALSE(shows(lines(rig.batch), "perjoule_gpu_clock_hertz"));
  CHECK(shows(lines(rig.batch), "perjoule_gpu_processes"));
  for (const auto& [call, count] : rig.nvml.calls)
    rig.nvml.results[call] = Return::no_permission;
  const Result<void> sampled = rig.sample();
  REQUIRE_FALSE(sampled.has_value());
  CHECK(sampled.error().fault == Fault::denied);
}

TEST_CASE("a suspended board is not touched, and continues where it was when it wakes") {
  Tree tree;
  tree.write("status", "suspended\n");
  Rig rig(tree.at("status"));
  rig.nvml.calls.clear();
  CHECK(rig.sample().has_value());
  CHECK(lines(rig.batch) == std::vector<std::string>{"perjoule_gpu_runtime_suspended{gpu=\"0\",uuid=\"GPU-fake\"} 1"});
  CHECK(rig.nvml.total() == 0);
  tree.write("status", "active\n");
  CHECK(shows(rig.after(1), "perjoule_gpu_temperature_celsius"));
  rig.nvml.calls.clear();
  tree.write("status", "suspending\n");
  CHECK(rig.sample().has_value());
  CHECK(rig.nvml.total() == 0);
}

TEST_CASE("power: the driver's mean first, then the counter's mean over ten seconds, then the instantaneous reading") {
  const std::string power = "perjoule_gpu_power_watts" + labels + "} ";
  Rig rig;  // like GA100: instantaneous readings and a counter, no mean
  rig.nvml.numbers["architecture"] = 7;
  rig.nvml.numbers["major"] = 8;
  rig.nvml.field(nvml::field::power_instant, 300'000);
  std::uint64_t millijoules = 5'000'000'000;
  const auto draw = [&](std::uint64_t watts) {
    millijoules += watts * 1000;
    rig.nvml.field(nvml::field::total_energy, millijoules, nvml::ValueType::unsigned_long_long);
    return rig.after(1);
  };
  CHECK(contains(draw(200), power + "300"));
  CHECK(contains(draw(200), power + "300"));
  CHECK(contains(draw(200), power + "200"));
  for (int i = 0; i < 7; ++i)
    draw(200);
  CHECK(contains(draw(300), power + "210"));
  for (int i = 0; i < 9; ++i)
    draw(300);
  CHECK(contains(draw(300), power + "300"));
  CHECK(contains(lines(rig.batch), "perjoule_gpu_power_instant_watts" + labels + "} 300"));
  CHECK(rig.nvml.calls["power"] == 0);
  millijoules = 0;  // the driver was reloaded
  CHECK(contains(draw(100), power + "300"));
  rig.nvml.field(nvml::field::power_average, 250'500);
  time_ns += nvml::ask_again_ns;
  CHECK(contains(draw(100), power + "250.5"));
}

TEST_CASE("power usage is a mean from Ampere on, and instantaneous on GA100 and before") {
  const auto power_of = [](std::uint64_t architecture, std::uint64_t major, std::uint64_t minor) {
    Rig rig;
    rig.nvml.numbers["architecture"] = architecture;
    rig.nvml.numbers["major"] = major;
    rig.nvml.numbers["minor"] = minor;
    rig.nvml.numbers["power"] = 120'000;
    REQUIRE(rig.sample().has_value());
    CHECK(shows(lines(rig.batch), "perjoule_gpu_power_watts" + labels + "} 120"));
    return shows(lines(rig.batch), "perjoule_gpu_power_instant_watts");
  };
  CHECK_FALSE(power_of(8, 8, 9));
  CHECK_FALSE(power_of(9, 9, 0));
  CHECK_FALSE(power_of(7, 8, 6));
  CHECK(power_of(7, 8, 0));
  CHECK(power_of(6, 7, 5));
  CHECK(power_of(nvml::architecture_unknown, 8, 6));
}

TEST_CASE(
    "energy: the counter in microjoules, gated by the largest limit; power is integrated where there is no counter") {
  Rig rig;
  rig.nvml.field(nvml::field::total_energy, 123'456, nvml::ValueType::unsigned_long_long);
  rig.nvml.field(nvml::field::power_limit, 300'000);
  rig.nvml.field(nvml::field::power_limit_max, 400'000);
  rig.nvml.field(nvml::field::power_average, 200'000);
  REQUIRE(rig.sample().has_value());
  CHECK(contains(lines(rig.batch),
                 "perjoule_gpu_energy_joules_total" + labels + "} meter 123456000 wrap 0 max 400 GPU-fake counter"));
  rig.nvml.fields.erase(nvml::field::total_energy);
  rig.nvml.results["energy"] = Return::not_supported;
  REQUIRE(rig.sample().has_value());
  CHECK(contains(lines(rig.batch), "perjoule_gpu_energy_joules_total" + labels +
                                       "} integrate 200 max 400 GPU-fake integrated rate perjoule_gpu_power_watts"));
  CHECK_FALSE(shows(lines(rig.batch), "perjoule_gpu_power_watts"));
}

TEST_CASE("a counter that fails for a moment is not replaced by integrated power") {
  Rig rig;
  rig.nvml.field(nvml::field::power_average, 200'000);
  nvml::FieldValue failing{};
  failing.result = Return::timeout;
  rig.nvml.fields[nvml::field::total_energy] = failing;
  REQUIRE(rig.sample().has_value());
  CHECK_FALSE(shows(lines(rig.batch), "perjoule_gpu_energy_joules_total"));
  CHECK(shows(lines(rig.batch), "perjoule_gpu_power_watts"));
}

TEST_CASE("thermal margin: on the driver's scale where it has one, else from the slowdown temperature") {
  const std::string margin = "perjoule_gpu_thermal_margin_celsius" + labels + "} ";
  Rig rig;
  rig.nvml.numbers["margin"] = 46;
  rig.nvml.numbers["slowdown"] = 90;
  CHECK(contains(rig.after(1), margin + "46"));
  rig.nvml.field(nvml::field::slowdown_margin, static_cast<std::uint32_t>(-2), nvml::ValueType::signed_int);
  time_ns += nvml::ask_again_ns;
  CHECK(contains(rig.after(1), margin + "48"));
  rig.nvml.results["margin"] = Return::function_not_found;
  CHECK(contains(rig.after(1), margin + "50"));
  rig.nvml.numbers["slowdown"] = 0;  // not set
  time_ns += nvml::ask_again_ns;
  CHECK_FALSE(shows(rig.after(1), margin));
}

TEST_CASE("throttle: counters are metered, bits without a counter are integrated, zeros are present") {
  Rig rig;
  rig.nvml.numbers["reasons"] = nvml::sw_power_cap | nvml::hw_thermal | nvml::gpu_idle;
  rig.nvml.field(nvml::field::policy_power, 2'500'000'000, nvml::ValueType::unsigned_long_long);
  rig.nvml.results["violation"] = Return::not_supported;
  REQUIRE(rig.sample().has_value());
  const auto all = lines(rig.batch);
  const auto active = [](const char* reason, int value) {
    return fmt::format("perjoule_gpu_throttle_active{},reason=\"{}\"}} {}", labels, reason, value);
  };
  const auto timed = [](const char* reason, int value) {
    return fmt::format("perjoule_gpu_throttle_seconds_total{},reason=\"{}\"}} integrate {} max 1 GPU-fake integrated",
                       labels, reason, value);
  };
  for (const auto& [reason, value] :
       std::map<const char*, int>{{"hw_thermal", 1}, {"sw_thermal", 0}, {"hw_power_brake", 0}, {"sync_boost", 0}}) {
    CHECK(contains(all, active(reason, value)));
    CHECK(contains(all, timed(reason, value)));
  }
  CHECK(contains(all, active("sw_power_cap", 1)));
  CHECK(contains(all, "perjoule_gpu_throttle_seconds_total" + labels +
                          ",reason=\"sw_power_cap\"} meter 2500000 wrap 0 max 1 GPU-fake counter"));
  CHECK(contains(all, "perjoule_gpu_clock_idle_active" + labels + "} 1"));
  CHECK_FALSE(shows(all, "perjoule_gpu_throttled_seconds_total"));
  for (const std::string& line : all)
    CHECK(line.find("hw_slowdown") == std::string::npos);
}

TEST_CASE("throttle: an older board has the general bit and the older function") {
  Rig rig;
  rig.nvml.numbers["supported"] = 0x2f;
  rig.nvml.numbers["reasons"] = nvml::hw_slowdown;
  rig.nvml.numbers["violation"] = 7'000'000;
  REQUIRE(rig.sample().has_value());
  const auto all = lines(rig.batch);
  CHECK(contains(all, "perjoule_gpu_throttle_active" + labels + ",reason=\"hw_slowdown\"} 1"));
  CHECK_FALSE(shows(all, "perjoule_gpu_throttle_active" + labels + ",reason=\"hw_thermal\"}"));
  CHECK(contains(all, "perjoule_gpu_throttle_seconds_total" + labels +
                          ",reason=\"thermal\"} meter 7000 wrap 0 max 1 GPU-fake counter"));
  CHECK(contains(all, "perjoule_gpu_throttled_seconds_total" + labels + "} meter 7000 wrap 0 max 1 GPU-fake counter"));
}

TEST_CASE("a board that does not answer is tried every ten seconds, and is recognised when it comes back") {
  Rig rig;
  rig.nvml.results["by_pci"] = Return::gpu_is_lost;
  for (int tick = 0; tick < 25; ++tick) {
    time_ns += second_ns;
    const Result<void> sampled = rig.sample();
    REQUIRE_FALSE(sampled.has_value());
    CHECK(sampled.error().fault == Fault::transient);
    CHECK_FALSE(sampled.error().remedy.empty());
  }
  CHECK(rig.nvml.calls["by_pci"] == 3);
  rig.nvml.results.clear();
  CHECK(shows(rig.after(10), "perjoule_gpu_temperature_celsius"));
}

TEST_CASE("a dead session makes its boards broken; another board at the address is another device") {
  Rig rig;
  rig.nvml.results["by_pci"] = Return::uninitialized;
  rig.nvml.results["count"] = Return::uninitialized;
  CHECK(rig.sample().error().fault == Fault::broken);
  rig.nvml.results.clear();
  rig.nvml.uuid = "GPU-another";
  time_ns += 10 * second_ns;
  CHECK(rig.sample().error().fault == Fault::broken);
}

TEST_CASE("for any answer of the driver no implausible value is shown") {
  std::mt19937_64 random(20261124);
  const Return results[] = {Return::success,       Return::success, Return::success,
                            Return::not_supported, Return::timeout, Return::no_permission,
                            Return::unknown,       Return::no_data, Return::invalid_argument};
  const std::uint64_t odd[] = {0, 1, 99, 101, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~0ULL, 1ULL << 63U};
  for (int round = 0; round < 3000; ++round) {
    Rig rig;
    for (const char* name : {"power", "energy", "limit", "limit_max", "temperature", "slowdown", "margin",
                             "utilization", "memory_utilization", "encoder", "memory_total", "memory_used", "clock",
                             "reasons", "supported", "violation", "processes", "architecture", "major"}) {
      rig.nvml.numbers[name] = random() % 2 != 0 ? odd[random() % std::size(odd)] : random() >> (random() % 64);
      rig.nvml.results[name] = results[random() % std::size(results)];
    }
    for (const std::uint32_t field : {74U, 75U, 76U, 80U, 82U, 83U, 185U, 186U, 1186U, 187U, 188U, 190U, 194U}) {
      rig.nvml.field(field, random() % 2 != 0 ? odd[random() % std::size(odd)] : random() >> (random() % 64),
                     static_cast<nvml::ValueType>(random() % 9));
    }
    for (int tick = 0; tick < 3; ++tick) {
      time_ns += second_ns;
      if (!rig.sample()) continue;
      for (const Reading& reading : rig.batch.readings()) {
        CAPTURE(line(rig.batch, reading));
        REQUIRE(std::isfinite(reading.value));
        if (reading.metric->unit == Unit::watt) REQUIRE((reading.value > 0 && reading.value <= 60'000));
        if (reading.metric->unit == Unit::ratio) REQUIRE((reading.value >= 0 && reading.value <= 1));
        if (reading.metric->unit == Unit::celsius) REQUIRE((reading.value >= -50 && reading.value <= 200));
        if (reading.metric->unit == Unit::hertz) REQUIRE(reading.value <= 2e10);
        if (reading.metric->unit == Unit::byte) REQUIRE(reading.value <= 1.2e15);
      }
    }
  }
}

TEST_CASE("a library without nvmlDeviceGetUUID: the board is read by its address") {
  FakeNvml fake;
  nvml::Api api = FakeNvml::table();
  api.device_uuid = nullptr;
  const auto session = nvml::Session::open(api);
  REQUIRE(session.has_value());
  nvml::Gpu gpu(*session, {{"0", "GPU-fake"}, {"0000:1b:00.0", 0}, "0000:1b:00.0", {}}, {{}, {}},
                [] { return time_ns; });
  Batch batch;
  CHECK(gpu.sample(batch).has_value());
  CHECK_FALSE(batch.readings().empty());
}
