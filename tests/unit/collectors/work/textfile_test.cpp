#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/work/regular_file.hpp"

namespace perjoule {
extern const Entry textfile_entry;
}

using namespace perjoule;

namespace {

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "perjoule_textfile_XXXXXX").native();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text, std::time_t age = 0) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    const timespec when = {std::time(nullptr) - age, 0};
    const timespec times[2] = {when, when};
    REQUIRE(::utimensat(AT_FDCWD, (path_ / name).c_str(), times, 0) == 0);
  }

 private:
  std::filesystem::path path_;
};

Options options_of(const Directory& directory) {
  Options options;
  options.set("directory", directory.path().native());
  options.set("max_age", 300.0);
  options.set("file_limit", 64.0);
  return options;
}

// The readings of one tick as lines, and its faults.
struct Tick {
  std::vector<std::string> lines;
  std::vector<std::string> files;  // of the metrics about the files themselves
  std::vector<std::string> faults;
  std::uint64_t fault_count = 0;
};

Tick sample(const Options& options) {
  Result<std::vector<Probe>> probes = textfile_entry.make(options, Roots{});
  REQUIRE(probes.has_value());
  REQUIRE(probes->size() == 1);
  Batch batch;
  REQUIRE(probes->front().collector->sample(batch).has_value());
  Tick tick;
  for (const Reading& reading : batch.readings()) {
    std::string line(reading.metric->name);
    for (std::size_t i = 0; i < reading.metric->label_count; ++i)
      line += fmt::format(" {}", batch.label(reading, i));
    line +=
        reading.form == Reading::Form::meter ? fmt::format(" raw {}", reading.raw) : fmt::format(" {}", reading.value);
    (line.starts_with("perjoule_textfile_") ? tick.files : tick.lines).push_back(line);
  }
  for (const ItemFault& fault : batch.faults())
    tick.faults.push_back(fault.error.what);
  tick.fault_count = batch.fault_count();
  return tick;
}

Tick sample(const Directory& directory) {
  return sample(options_of(directory));
}

constexpr std::string_view power = "perjoule_facility_power_watts{category=\"it\"} 120000\n";

}  // namespace

TEST_CASE("textfile: the whole vocabulary is read, labels in any order") {
  Directory directory;
  directory.write(
      "b.prom",
      "# HELP perjoule_facility_power_watts Feeds.\n# TYPE perjoule_facility_power_watts gauge\n"
      "perjoule_facility_power_watts{category=\"it\"} 120000\n"
      "perjoule_circuit_current_amperes{phase=\"L1\",rack=\"r1\",feed=\"A\"} 12.5\n"
      "perjoule_circuit_rating_amperes{rack=\"r1\",feed=\"A\",phase=\"L1\"} 32\n"
      "perjoule_phase_imbalance_ratio{rack=\"r1\",feed=\"A\"} 0.1\n"
      "# TYPE perjoule_work_total counter\nperjoule_work_total{workload=\"train\",kind=\"steps\"} 1500.25\n");
  directory.write("a.prom",
                  "# TYPE perjoule_temperature_celsius gauge\n"
                  "perjoule_temperature_celsius{chip=\"crac\",sensor=\"cold\",role=\"inlet\"} 23.5\n# EOF\n");
  const Tick tick = sample(directory);
  CHECK(tick.faults == std::vector<std::string>{});
  CHECK(tick.lines == std::vector<std::string>{
                          "perjoule_facility_power_watts it 120000",
                          "perjoule_circuit_current_amperes r1 A L1 12.5",
                          "perjoule_circuit_rating_amperes r1 A L1 32",
                          "perjoule_phase_imbalance_ratio r1 A 0.1",
                          "perjoule_work_total train steps raw 1500250000",
                          "perjoule_temperature_celsius crac cold inlet 23.5",
                      });
}

TEST_CASE("textfile: OpenMetrics is read too") {
  Directory directory;
  directory.write("a.prom",
                  "# TYPE perjoule_work counter\nperjoule_work_total{workload=\"t\",kind=\"steps\"} 3\n# EOF\n");
  CHECK(sample(directory).lines == std::vector<std::string>{"perjoule_work_total t steps raw 3000000"});
}

TEST_CASE("textfile: a file with any error is refused whole, with line and column, and the others stay") {
  struct Case {
    const char* line;
    const char* what;
  };
  const std::vector<Case> cases = {
      {"up 1", "2:1: up is not a metric that a textfile may contain"},
      {"perjoule_gpus 8", "2:1: perjoule_gpus is not a metric that a textfile may contain"},
      {"perjoule_facility_power_watts 1", "2:1: perjoule_facility_power_watts must have exactly the labels category"},
      {"perjoule_facility_power_watts{category=\"a\",x=\"y\"} 1",
       "2:1: perjoule_facility_power_watts must have exactly the labels category"},
      {"perjoule_facility_power_watts{category=\"\"} 1", "2:1: label category is empty"},
      {"perjoule_facility_power_watts{category=\"a\"} 1 1700000000000", "2:1: timestamps are not allowed"},
      {"perjoule_facility_power_watts{category=\"a\"} NaN", "2:1: the value is not finite"},
      {"perjoule_facility_power_watts{category=\"a\"} +Inf", "2:1: the value is not finite"},
      {"perjoule_facility_power_watts{category=\"a\"} -1", "2:1: -1 is below 0"},
      {"perjoule_facility_power_watts{category=\"it\"} 1", "2:1: the same series is already in this file"},
      {"perjoule_work_total{workload=\"a\",kind=\"b\"} -1", "2:1: -1 is below 0"},
      {"perjoule_work_total{workload=\"a\",kind=\"b\"} 1e13", "2:1: the counter exceeds 9000000000000"},
      {"perjoule_temperature_celsius{chip=\"a\",sensor=\"b\",role=\"cpu\"} 20",
       "2:1: a temperature in a textfile must have role=\"inlet\""},
      {"perjoule_temperature_celsius{chip=\"a\",sensor=\"b\",role=\"inlet\"} -274", "2:1: -274 is below -273.15"},
      {"# TYPE perjoule_work_total gauge\nperjoule_work_total{workload=\"a\",kind=\"b\"} 1",
       "3:1: perjoule_work_total is a counter"},
      {"# TYPE perjoule_phase_imbalance_ratio counter\nperjoule_phase_imbalance_ratio{rack=\"a\",feed=\"b\"} 1",
       "3:1: perjoule_phase_imbalance_ratio is a gauge"},
      {"perjoule_facility_power_watts{category=\"a\"} x", "2:45: 'x' is not a number"},
  };
  for (const Case& one : cases) {
    Directory directory;
    directory.write("bad.prom", fmt::format("{}{}\n", power, one.line));
    directory.write("good.prom", "perjoule_phase_imbalance_ratio{rack=\"r\",feed=\"f\"} 0.5\n");
    const Tick tick = sample(directory);
    CAPTURE(one.line);
    CHECK(tick.lines == std::vector<std::string>{"perjoule_phase_imbalance_ratio r f 0.5"});
    CHECK(tick.fault_count == 1);
    REQUIRE(tick.faults.size() == 1);
    CHECK_MESSAGE(tick.faults[0].starts_with((directory.path() / "bad.prom").native() + ":" + one.what),
                  tick.faults[0]);
  }
}

TEST_CASE("textfile: the same series in two files: the later file is refused") {
  Directory directory;
  directory.write("a.prom", power);
  directory.write("b.prom", std::string(power) + "perjoule_facility_power_watts{category=\"ups\"} 1\n");
  const Tick tick = sample(directory);
  CHECK(tick.lines == std::vector<std::string>{"perjoule_facility_power_watts it 120000"});
  REQUIRE(tick.faults.size() == 1);
  CHECK(tick.faults[0].find("b.prom:1:1: the same series is already in a.prom") != std::string::npos);
}

TEST_CASE("textfile: nothing of a refused hostile file is shown") {
  std::mt19937 random(11);
  const auto pick = [&random](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  Directory directory;
  for (int round = 0; round < 300; ++round) {
    std::string text = fmt::format("{}perjoule_phase_imbalance_ratio{{rack=\"r\",feed=\"f\"}} 0.5\n", power);
    for (std::size_t n = pick(3); n > 0; --n)
      text[pick(text.size())] = static_cast<char>(pick(256));
    text.resize(text.size() - pick(3));
    directory.write("a.prom", text);
    const Tick tick = sample(directory);
    CAPTURE(text);
    REQUIRE((tick.fault_count == 0 || tick.lines.empty()));
  }
}

TEST_CASE("textfile: a file that is no longer updated is ignored and counted") {
  Directory directory;
  directory.write("old.prom", power, 302);
  directory.write("new.prom", "perjoule_phase_imbalance_ratio{rack=\"r\",feed=\"f\"} 0.5\n", 200);
  const Tick tick = sample(directory);
  CHECK(tick.lines == std::vector<std::string>{"perjoule_phase_imbalance_ratio r f 0.5"});
  REQUIRE(tick.faults.size() == 1);
  CHECK(tick.faults[0].find("/old.prom: last written 30") != std::string::npos);
}

TEST_CASE("textfile: anything but a regular file is skipped without blocking") {
  Directory directory;
  directory.write("good.prom", power);
  directory.write("target", power);
  REQUIRE(::mkfifo((directory.path() / "fifo.prom").c_str(), 0600) == 0);
  std::filesystem::create_directory(directory.path() / "directory.prom");
  std::filesystem::create_symlink(directory.path() / "target", directory.path() / "link.prom");
  directory.write("big.prom", std::string((1 << 20) + 1, '\n'));
  directory.write(".hidden.prom", "x");
  directory.write("other.txt", "x");
  const Tick tick = sample(directory);
  CHECK(tick.lines == std::vector<std::string>{"perjoule_facility_power_watts it 120000"});
  REQUIRE(tick.faults.size() == 4);
  CHECK(tick.faults[0] == (directory.path() / "big.prom: 1048577 bytes; at most 1048576 are read").native());
  CHECK(tick.faults[1] == (directory.path() / "directory.prom: not a regular file").native());
  CHECK(tick.faults[2] == (directory.path() / "fifo.prom: not a regular file").native());
  CHECK(tick.faults[3] == (directory.path() / "link.prom: symbolic links are not followed").native());
}

TEST_CASE("textfile: an unreadable file is denied with the remedy" * doctest::skip(::geteuid() == 0)) {
  Directory directory;
  directory.write("a.prom", power);
  std::filesystem::permissions(directory.path() / "a.prom", std::filesystem::perms::none);
  CHECK(sample(directory).faults.size() == 1);
  RegularFile file;
  const auto content = file.read((directory.path() / "a.prom").native(), 1000);
  REQUIRE(!content);
  CHECK(content.error().fault == Fault::denied);
  CHECK(content.error().remedy == "chmod a+r " + (directory.path() / "a.prom").native());
}

TEST_CASE("textfile: more files than the limit") {
  Directory directory;
  for (int i = 0; i < 5; ++i) {
    directory.write(fmt::format("{}.prom", i),
                    fmt::format("perjoule_facility_power_watts{{category=\"c{}\"}} {}\n", i, i));
  }
  Options options = options_of(directory);
  options.set("file_limit", 3.0);
  const Tick tick = sample(options);
  CHECK(tick.lines.size() == 3);
  REQUIRE(tick.faults.size() == 1);
  CHECK(tick.faults[0].ends_with("5 files; the last 2 in name order are not read"));
}

TEST_CASE("textfile: more series than the limit: the file that passes it is refused") {
  Directory directory;
  std::string many;
  for (int i = 0; i < 9000; ++i)
    many += fmt::format("perjoule_facility_power_watts{{category=\"c{}\"}} 1\n", i);
  directory.write("a.prom", many);
  std::string more;
  for (int i = 9000; i < 10001; ++i)
    more += fmt::format("perjoule_facility_power_watts{{category=\"c{}\"}} 1\n", i);
  directory.write("b.prom", more);
  const Tick tick = sample(directory);
  CHECK(tick.lines.size() == 9000);
  REQUIRE(tick.faults.size() == 1);
  CHECK(tick.faults[0].find("b.prom:1001:1: more than 10000 series") != std::string::npos);
}

TEST_CASE("textfile: without a directory the source is absent") {
  CHECK(textfile_entry.make(Options{}, Roots{}).error().fault == Fault::absent);
  Options options;
  options.set("directory", std::string("/nonexistent/textfile"));
  const auto made = textfile_entry.make(options, Roots{});
  REQUIRE(!made);
  CHECK(made.error().fault == Fault::absent);
  CHECK(made.error().remedy == "mkdir -p /nonexistent/textfile");
}

TEST_CASE("textfile: the directory vanishes between ticks") {
  std::vector<Probe> probes;
  {
    Directory directory;
    probes = textfile_entry.make(options_of(directory), Roots{}).value();
  }
  Batch batch;
  const auto sampled = probes.front().collector->sample(batch);
  REQUIRE(!sampled);
  CHECK(sampled.error().fault == Fault::absent);
}

TEST_CASE("a write between the two fstat calls is detected") {
  struct stat before = {};
  before.st_size = 10;
  before.st_mtim = {100, 5};
  CHECK_FALSE(RegularFile::changed(before, before, 10));
  struct stat after = before;
  after.st_mtim.tv_nsec = 6;
  CHECK(RegularFile::changed(before, after, 10));
  after = before;
  after.st_size = 11;
  CHECK(RegularFile::changed(before, after, 10));
  CHECK(RegularFile::changed(before, after, 11));
  CHECK(RegularFile::changed(before, before, 9));
  CHECK(RegularFile::changed(before, before, 11));
}

// Files of procfs have size 0 and still give bytes: they look like files that grow while they are read.
TEST_CASE("a file that gives more bytes than its size is refused") {
  RegularFile file;
  const auto content = file.read("/proc/self/status", 1 << 20);
  REQUIRE(!content);
  CHECK(content.error().what == "/proc/self/status: changed while it was read; it is read again at the next tick");
}

TEST_CASE("textfile: each file is shown as valid or not, with its age; one of tomorrow counts from when it was seen") {
  Directory directory;
  directory.write("future.prom", power, -86'400);
  directory.write("good.prom", "perjoule_phase_imbalance_ratio{rack=\"r\",feed=\"f\"} 0.5\n");
  directory.write("line_ends.prom", "perjoule_facility_power_watts{category=\"other\"} 1\r\n");
  directory.write("old.prom", "perjoule_facility_power_watts{category=\"old\"} 1\n", 301);
  const Tick tick = sample(directory);
  std::vector<std::string> valid;
  std::map<std::string, double> ages;
  for (const std::string& line : tick.files) {
    const std::size_t blank = line.rfind(' ');
    if (line.starts_with("perjoule_textfile_valid ")) valid.push_back(line.substr(24));
    if (line.starts_with("perjoule_textfile_age_seconds "))
      ages[line.substr(30, blank - 30)] = std::stod(line.substr(blank));
  }
  CHECK(valid == std::vector<std::string>{"future.prom 1", "good.prom 1", "line_ends.prom 0", "old.prom 0"});
  CHECK(ages.at("future.prom") <= 1);  // a second may have passed since
  CHECK(ages.at("good.prom") <= 1);
  CHECK(ages.at("old.prom") >= 301);
  CHECK(tick.fault_count == 2);
}
