#include "collectors/power/power_model.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>
#include <unistd.h>
#include <array>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/power/coefficients.hpp"
#include "collectors/power/metrics.hpp"

namespace perjoule {
extern const Entry power_model_entry;
}

using namespace perjoule;

namespace {

std::string cpuinfo(std::string_view vendor, unsigned family, unsigned model, unsigned stepping,
                    std::string_view name) {
  return fmt::format(
      "processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: {}\nstepping\t: {}\n"
      "flags\t\t: fpu vme\npower management:\n\nprocessor\t: 1\nvendor_id\t: Other\n",
      vendor, family, model, name, stepping);
}

CoefficientsChoice choice(std::string_view vendor, unsigned family, unsigned model, unsigned stepping = 0,
                          std::string_view name = "") {
  return choose_coefficients(parse_cpu_identity(cpuinfo(vendor, family, model, stepping, name)));
}

// A host as a directory: CPUs 0 to packages[0] - 1 in package 0, the next packages[1] in package 1, and so on.
class Host {
 public:
  explicit Host(const std::vector<unsigned>& packages) {
    std::string pattern = (std::filesystem::temp_directory_path() / "perjoule_power_model_XXXXXX").native();
    root_ = ::mkdtemp(pattern.data());
    write("proc/cpuinfo", cpuinfo("GenuineIntel", 6, 85, 7, "Intel Xeon Gold 6248"));
    for (unsigned package = 0; package < packages.size(); ++package) {
      for (unsigned i = 0; i < packages[package]; ++i, ++cpus_) {
        write(fmt::format("sys/devices/system/cpu/cpu{}/topology/physical_package_id", cpus_),
              fmt::format("{}\n", package));
      }
    }
  }
  ~Host() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void write(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::trunc) << text;
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ / path); }
  // All CPUs with the same ticks since boot.
  void ticks(std::uint64_t user, std::uint64_t idle, std::uint64_t steal = 0) const {
    std::string text = "cpu  0 0 0 0 0 0 0 0 0 0\n";
    for (unsigned cpu = 0; cpu < cpus_; ++cpu)
      text += fmt::format("cpu{} {} 0 0 {} 0 0 0 {} 0 0\n", cpu, user, idle, steal);
    write("proc/stat", text + "intr 0\n");
  }
  Roots roots() const {
    Roots roots;
    roots.procfs = root_ / "proc";
    roots.sysfs = root_ / "sys";
    return roots;
  }

 private:
  std::filesystem::path root_;
  unsigned cpus_ = 0;
};

std::unique_ptr<Collector> made(const Host& host, const Options& options = {}) {
  Result<std::vector<Probe>> probes = power_model_entry.make(options, host.roots());
  REQUIRE(probes.has_value());
  REQUIRE(probes->size() == 1);
  return std::move(probes->front().collector);
}

Options node(double idle, double max) {
  Options options;
  options.set("idle", idle);
  options.set("max", max);
  return options;
}

std::vector<double> watts_of(Collector& collector) {
  Batch batch;
  REQUIRE(collector.sample(batch).has_value());
  std::vector<double> watts;
  for (const Reading& reading : batch.readings())
    watts.push_back(reading.value);
  return watts;
}

}  // namespace

TEST_CASE("coefficients: microarchitecture by family, model and stepping") {
  const auto name = [](CoefficientsChoice chosen) { return std::string(chosen.coefficients->microarchitecture); };
  CHECK(name(choice("GenuineIntel", 6, 45)) == "Sandy Bridge");
  CHECK(name(choice("GenuineIntel", 6, 62)) == "Ivy Bridge");
  CHECK(name(choice("GenuineIntel", 6, 63)) == "Haswell");
  CHECK(name(choice("GenuineIntel", 6, 79)) == "Broadwell");
  CHECK(name(choice("GenuineIntel", 6, 85, 4)) == "Skylake");
  CHECK(name(choice("GenuineIntel", 6, 85, 7)) == "Cascade Lake");
  CHECK(name(choice("GenuineIntel", 6, 106)) == "Ice Lake");
  CHECK(name(choice("GenuineIntel", 6, 143)) == "Sapphire Rapids");
  CHECK(name(choice("GenuineIntel", 6, 207)) == "Emerald Rapids");
  CHECK(name(choice("GenuineIntel", 6, 173)) == "Granite Rapids");
  CHECK(name(choice("AuthenticAMD", 23, 1)) == "EPYC 1st generation");
  CHECK(name(choice("AuthenticAMD", 23, 49)) == "EPYC 2nd generation");
  CHECK(name(choice("AuthenticAMD", 25, 1)) == "EPYC 3rd generation");
  CHECK(name(choice("AuthenticAMD", 25, 17)) == "EPYC 4th generation");
  CHECK(name(choice("AuthenticAMD", 25, 160)) == "EPYC 4th generation");
  CHECK(choice("AuthenticAMD", 25, 17).note.empty());
}

TEST_CASE("coefficients: without published values the nearest or the average, with a note") {
  const CoefficientsChoice turin = choice("AuthenticAMD", 26, 2, 1, "AMD EPYC");
  CHECK(turin.coefficients->microarchitecture == "EPYC 4th generation");
  CHECK(turin.note.find("nearest") != std::string_view::npos);
  const CoefficientsChoice cooper = choice("GenuineIntel", 6, 85, 11);
  CHECK(cooper.coefficients->microarchitecture == "Cascade Lake");
  CHECK(!cooper.note.empty());
  const CpuIdentity nothing_known;  // named: g++ 14 warns of a dangling reference to a temporary
  const std::array unknowns = {choice("GenuineIntel", 6, 255), choice("AuthenticAMD", 99, 1),
                               choice("HygonGenuine", 24, 1), choose_coefficients(nothing_known)};
  for (const CoefficientsChoice& unknown : unknowns) {
    CHECK(unknown.coefficients->idle_watts == 0.74);
    CHECK(unknown.coefficients->max_watts == 3.5);
    CHECK(unknown.note.find("average") != std::string_view::npos);
  }
}

TEST_CASE("coefficients: QEMU's names help where its model numbers do not") {
  CHECK(choice("GenuineIntel", 6, 134, 0, "Intel Xeon Processor (Icelake)").coefficients->microarchitecture ==
        "Ice Lake");
  CHECK(choice("Other", 0, 0, 0, "AMD EPYC-Milan Processor").coefficients->microarchitecture == "EPYC 3rd generation");
}

TEST_CASE("coefficients: any /proc/cpuinfo gives usable coefficients") {
  std::mt19937 random(3);
  const std::string good = cpuinfo("GenuineIntel", 6, 85, 7, "Xeon");
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (int n = 0; n < 5; ++n)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    text.resize(random() % (text.size() + 1));
    const CpuIdentity cpu = parse_cpu_identity(text);
    REQUIRE(cpu.name.size() <= 128);
    const CoefficientsChoice chosen = choose_coefficients(cpu);
    REQUIRE(chosen.coefficients->idle_watts > 0);
    REQUIRE(chosen.coefficients->max_watts > chosen.coefficients->idle_watts);
  }
}

TEST_CASE("the model rises with utilisation, and packages sum to the node") {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> share(0, 1);
  for (int round = 0; round < 2000; ++round) {
    const PowerLine line = {share(random) * 3, 3 + share(random) * 10};
    const unsigned threads = 2 + static_cast<unsigned>(random() % 500);
    const double low = share(random), high = low + share(random) * (1 - low);
    const double node = modelled_watts(line, threads, low);
    REQUIRE(node >= line.idle_watts * threads * (1 - 1e-12));
    REQUIRE(node <= line.max_watts * threads * (1 + 1e-12));
    REQUIRE(modelled_watts(line, threads, high) >= node);
    const unsigned part = 1 + static_cast<unsigned>(random()) % (threads - 1);
    const double sum = modelled_watts(line, part, low) + modelled_watts(line, threads - part, low);
    REQUIRE(sum == doctest::Approx(node));
  }
  CHECK(modelled_watts({1, 2}, 4, -1) == 4);
  CHECK(modelled_watts({1, 2}, 4, 7) == 8);
}

TEST_CASE("power_model: configured watts are split over packages by threads") {
  const Host host({2, 6});
  host.ticks(1000, 1000);
  const auto model = made(host, node(80, 400));
  CHECK(watts_of(*model).empty());  // the first sample has nothing to compare with
  host.ticks(1025, 1075);
  Batch batch;
  REQUIRE(model->sample(batch).has_value());
  REQUIRE(batch.readings().size() == 2);
  CHECK(batch.readings()[0].value == doctest::Approx(40));  // a quarter of 80 + 320 * 0.25
  CHECK(batch.readings()[1].value == doctest::Approx(120));
  for (unsigned package = 0; package < 2; ++package) {
    const Reading& reading = batch.readings()[package];
    CHECK(reading.metric == &cpu_package_energy);
    CHECK(reading.rate == &cpu_package_power);
    CHECK(reading.form == Reading::Form::integral);
    CHECK(reading.origin == Origin::modelled);
    CHECK(reading.rate_max > reading.value);
    CHECK(batch.device(reading) == fmt::format("package-{}", package));
    CHECK(batch.label(reading, 0) == fmt::format("{}", package));
    CHECK(batch.label(reading, 1) == "modelled");
  }
}

TEST_CASE("power_model: published coefficients, and one configured end") {
  const Host host({4});
  host.ticks(0, 0);
  const auto at_full_load = [&host](const Options& options) {
    host.ticks(1000, 1000);
    const auto model = made(host, options);
    CHECK(watts_of(*model).empty());
    host.ticks(2000, 1000);
    return watts_of(*model).at(0);
  };
  CHECK(at_full_load({}) == doctest::Approx(4 * 4.063193520161689));
  Options idle_only;
  idle_only.set("idle", 1000.0);
  CHECK(at_full_load(idle_only) == doctest::Approx(1000));
  Options max_only;
  max_only.set("max", 1.0);
  CHECK(at_full_load(max_only) == doctest::Approx(1));
}

TEST_CASE("power_model: stolen time counts as idle") {
  const Host host({2});
  host.ticks(1000, 1000, 1000);
  const auto model = made(host, node(100, 200));
  CHECK(watts_of(*model).empty());
  host.ticks(1010, 1040, 1050);
  CHECK(watts_of(*model).at(0) == doctest::Approx(110));
}

TEST_CASE("power_model: inactive where a meter can be read, unless `always` is set") {
  const Host host({2});
  host.ticks(1000, 1000);
  const auto model = made(host);
  CHECK(watts_of(*model).empty());
  host.write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
  host.write("sys/class/powercap/intel-rapl:0/energy_uj", "1\n");
  Batch batch;
  CHECK(model->sample(batch).has_value());
  CHECK(batch.readings().empty());
  Options always;
  always.set("always", true);
  const auto insisting = made(host, always);
  CHECK(watts_of(*insisting).empty());
  host.ticks(1010, 1010);
  CHECK(watts_of(*insisting).size() == 1);
  host.remove("sys/class/powercap/intel-rapl:0");
  host.write("sys/class/powercap/intel-rapl:0/name", "psys\n");  // not a package
  host.write("sys/class/powercap/intel-rapl:0/energy_uj", "1\n");
  host.ticks(1020, 1020);
  CHECK(watts_of(*model).size() == 1);
}

TEST_CASE("power_model: steps in for the packages whose counters stand still, and for no others") {
  const Host host({2, 2});
  const auto zone = [&](int package, int microjoules) {
    const std::string path = fmt::format("sys/class/powercap/intel-rapl:{}/", package);
    host.write(path + "name", fmt::format("package-{}\n", package));
    host.write(path + "energy_uj", fmt::format("{}\n", microjoules));
  };
  const auto model = made(host);
  std::uint64_t ticks = 1000;
  const auto read = [&](int first, int second) {
    host.ticks(ticks, ticks);
    ticks += 10;
    zone(0, first);
    zone(1, second);
    Batch batch;
    (void)model->sample(batch);
    std::string packages;
    for (const Reading& reading : batch.readings())
      packages += batch.label(reading, 0);
    return packages;
  };
  for (int i = 0; i < 5; ++i)
    CHECK(read(7, 100 + i).empty());
  CHECK(read(7, 200).empty());  // the model's first look at the utilisation
  CHECK(read(7, 300) == "0");
  CHECK(read(7, 400) == "0");
  CHECK(read(8, 500).empty());
  CHECK(read(9, 500).empty());
}

TEST_CASE("power_model: refused settings and missing files") {
  const Host host({2});
  host.ticks(1, 1);
  for (const Options& wrong : {node(200, 100), node(-1, 100), node(0, 0), node(0, 1e9)}) {
    const auto refused = power_model_entry.make(wrong, host.roots());
    REQUIRE(!refused);
    CHECK(!refused.error().remedy.empty());
  }
  const auto model = made(host);
  host.remove("proc/stat");
  Batch batch;
  CHECK(!model->sample(batch));
  host.remove("proc/cpuinfo");
  CHECK(!power_model_entry.make({}, host.roots()));
}

TEST_CASE("power_model: describe_power_model names the coefficients and their error") {
  const Host host({2});
  CHECK(describe_power_model(host.roots()).value() ==
        "SPECpower means of Cascade Lake: 0.69 to 4.06 W per thread, +-50 %");
  host.write("proc/cpuinfo", cpuinfo("AuthenticAMD", 26, 2, 1, "AMD EPYC"));
  CHECK(describe_power_model(host.roots()).value().find("EPYC 4th generation") != std::string::npos);
  CHECK(describe_power_model(host.roots()).value().find("nearest") != std::string::npos);
}
