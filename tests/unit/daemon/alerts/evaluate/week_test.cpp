// A week of a node with eight GPUs under the default rules, on virtual time: jobs start and end, a driver is reloaded,
// MIG is switched on and off, the node reboots, a throttle reason flickers. Nothing above info may be sent. The same
// week with a fault in it shows that the test would notice.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "collectors/gpu/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/alerts/choice.hpp"
#include "daemon/alerts/evaluate/engine.hpp"
#include "daemon/alerts/rules/default_rules.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "tests/fakes/virtual_clock.hpp"

namespace perjoule::alerts {
namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr std::int64_t step_s = 15;
constexpr std::int64_t hour_s = 3'600;
constexpr std::int64_t day_s = 24 * hour_s;
constexpr std::int64_t week_s = 7 * day_s;
constexpr std::size_t board_count = 8;

// What trouble makes of a board at a second of the week; the healthy week has none.
struct Board {
  bool answers = true;
  bool lost = false;  // the driver says so
  double margin = 45;
  bool sw_thermal = false;
  bool hw_thermal = false;
  bool power_brake = false;
};
using Trouble = std::function<void(std::int64_t second, std::size_t board, Board& seen)>;

// One run of the daemon, from a boot of the node to the next.
struct Run {
  Run(asio::io_context& loop, const storage::LedgerRows& rows, const Stamp& now, const std::string& boot,
      std::vector<Alert>& sent)
      : clock(loop, now), ledger(rows, boot), roster(ledger, recorder, sources, log, {}, {}), sent_(sent) {
    instruments.reload(true, 0);
    engine.set_rules(default_rules());
    for (std::size_t board = 0; board < board_count; ++board)
      probes.push_back(open(uuid(board)));
    cpu = recorder.open_probe({"rapl", "package-0", step_s * second_ns, 3 * step_s * second_ns});
    std::vector<Inventory::Seen> seen;
    for (std::size_t board = 0; board < board_count; ++board)
      seen.push_back({"0000:0" + std::to_string(board) + ":00.0", uuid(board)});
    roster.inventory()->place(seen);
  }

  static std::string uuid(std::size_t board) { return "GPU-" + std::to_string(board); }
  ProbeId open(const std::string& device) {
    return recorder.open_probe({"nvml", device, step_s * second_ns, 3 * step_s * second_ns});
  }

  fakes::VirtualClock clock;
  Latest latest;
  Ledger ledger;
  Recorder recorder{latest, ledger, nullptr, make_rows(ledger)};
  Sources sources{recorder, {}};
  Instruments instruments{BuildInfo{"1.2.3", "0123abc", "main", "g++"}};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};
  GpuRoster roster;
  Engine engine{{clock, latest, recorder, instruments, ledger, log}, [this](std::span<const Alert>) { settle(); }};
  std::vector<std::optional<ProbeId>> probes;
  ProbeId cpu{};

 private:
  // What the receivers would get: alerts that are now sent and were not before.
  void settle() {
    std::set<std::string> now;
    for (const Alert& alert : choose(engine.firing(), "warning")) {
      const std::string key = alert.name + ' ' + alert.severity + ' ' + label_text(alert.labels);
      now.insert(key);
      if (!open_.contains(key)) sent_.push_back(alert);
    }
    open_ = std::move(now);
  }
  std::vector<Alert>& sent_;
  std::set<std::string> open_;
};

class Week {
 public:
  // A week, or with trouble its first two days.
  explicit Week(Trouble trouble = {}) : trouble_(std::move(trouble)), length_s_(trouble_ ? 2 * day_s : week_s) {
    plan_jobs();
  }

  // Returns what was sent.
  std::vector<Alert> play() {
    start("boot-0", {});
    for (std::int64_t second = 0; second < length_s_; second += step_s) {
      if (second >= reboot_at && second < reboot_at + reboot_s) {
        if (run_) rows_ = run_->ledger.take_changed();
        run_.reset();
        continue;
      }
      if (!run_) start("boot-1", rows_);
      run_->clock.run_until(at(second).steady_ns);
      step(second);
    }
    return sent_;
  }
  std::set<std::string> names() {
    std::set<std::string> all;
    for (const Alert& alert : play())
      all.insert(alert.name + '/' + alert.severity);
    return all;
  }

 private:
  static constexpr std::int64_t reload_at = 2 * day_s + 5 * hour_s;  // of the driver: all boards are gone for 100 s
  static constexpr std::int64_t reload_s = 100;
  static constexpr std::int64_t mig_at = 3 * day_s + 7 * hour_s;  // resets board 5 twice, an hour apart
  static constexpr std::int64_t mig_s = 60;
  static constexpr std::int64_t reboot_at = 4 * day_s + 9 * hour_s;
  static constexpr std::int64_t reboot_s = 600;

  static Stamp at(std::int64_t second) { return {(1'000 + second) * second_ns, 1'795'424'400'000 + second * 1'000}; }

  void start(const std::string& boot, const storage::LedgerRows& rows) {
    now_s_ = boot == "boot-0" ? 0 : reboot_at + reboot_s;
    run_ = std::make_unique<Run>(loop_, rows, at(now_s_), boot, sent_);
    counters_.assign(board_count, 0);
  }

  // Jobs of 10 min to 9 h on all boards, with pauses; the first seconds of a job load data at low power.
  void plan_jobs() {
    std::int64_t second = 0;
    while (second < week_s) {
      const std::int64_t pause = 60 + pick(3'000);
      const std::int64_t length = 600 + pick(8 * hour_s);
      jobs_[second + pause] = second + pause + length;
      second += pause + length;
    }
  }
  std::int64_t pick(std::int64_t below) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(below));
  }
  [[nodiscard]] bool busy(std::int64_t second) const {
    const auto next = jobs_.upper_bound(second);
    return next != jobs_.begin() && std::prev(next)->second > second;
  }
  static bool between(std::int64_t second, std::int64_t from, std::int64_t length) {
    return second >= from && second < from + length;
  }

  Board healthy(std::int64_t second, std::size_t board) {
    Board seen;
    const bool works = busy(second);
    seen.margin = (works ? 14 : 48) + static_cast<double>(pick(80)) / 10 - static_cast<double>(board) / 2;
    seen.sw_thermal = works && pick(40) == 0;  // a fortieth of the time: no reason for an alert
    seen.answers = !between(second, reload_at, reload_s) &&
                   !(board == 5 && (between(second, mig_at, mig_s) || between(second, mig_at + hour_s, mig_s)));
    return seen;
  }

  void step(std::int64_t second) {
    const Stamp now = at(second);
    for (std::size_t board = 0; board < board_count; ++board) {
      Board seen = healthy(second, board);
      if (trouble_) trouble_(second, board, seen);
      sample(second, board, seen, now);
    }
    Batch batch;
    package_ += static_cast<std::uint64_t>(step_s) * 180'000'000;
    batch.meter(cpu_package_energy, &cpu_package_power, {"package-0", package_, 0, 400}, "package-0", "rapl");
    (void)run_->recorder.accept(run_->cpu, batch, now);
    run_->sources.sampled("rapl", "package-0", {}, now);
    run_->sources.sampled("hwmon", "", {SourceState::denied, "EACCES", "", 0, 1}, now);
    run_->roster.tick(now, {});
    run_->engine.evaluate();
  }

  void sample(std::int64_t second, std::size_t board, const Board& seen, const Stamp& now) {
    const std::string uuid = Run::uuid(board);
    const std::string slot = std::to_string(board);
    std::optional<ProbeId>& probe = run_->probes[board];
    if (!seen.answers) {
      if (probe) run_->recorder.close_probe(*probe);
      probe.reset();
      counters_[board] = 0;  // as after a reset
      run_->sources.sampled("nvml", uuid, {SourceState::error, "gone", "", 0, 1, seen.lost}, now);
      return;
    }
    if (!probe) probe = run_->open(uuid);
    const bool works = busy(second);
    const double watts = (works ? 640 : 72) + static_cast<double>(pick(40));
    counters_[board] += static_cast<std::uint64_t>(watts * 1e6) * static_cast<std::uint64_t>(step_s);
    Batch batch;
    batch.meter(gpu_energy, nullptr, {uuid, counters_[board], 0, 1'050}, slot, uuid);
    batch.add(gpu_power, watts_from_milli(static_cast<std::int64_t>(watts * 1'000)), slot, uuid);
    batch.add(gpu_power_limit, watts_from_milli(700'000), slot, uuid);
    batch.add(gpu_thermal_margin, celsius(seen.margin), slot, uuid);
    batch.add(gpu_utilization, ratio(works ? 0.98 : 0), slot, uuid);
    batch.add(gpu_holding_processes, count(works ? 1 : 0), slot, uuid);
    batch.add(gpu_runtime_suspended, count(0), slot, uuid);
    const std::pair<const char*, bool> reasons[] = {{"sw_power_cap", works && pick(3) == 0},
                                                    {"sw_thermal", seen.sw_thermal},
                                                    {"hw_thermal", seen.hw_thermal},
                                                    {"hw_power_brake", seen.power_brake}};
    for (const auto& [reason, active] : reasons)
      batch.dwell(gpu_throttle_seconds, active, uuid, slot, uuid, reason);
    (void)run_->recorder.accept(*probe, batch, now);
    run_->sources.sampled("nvml", uuid, {}, now);
  }

  asio::io_context loop_{1};
  std::mt19937_64 random_{2026};
  Trouble trouble_;
  std::int64_t length_s_;
  std::map<std::int64_t, std::int64_t> jobs_;  // start -> end
  std::unique_ptr<Run> run_;
  storage::LedgerRows rows_;
  std::vector<std::uint64_t> counters_;  // microjoules
  std::uint64_t package_ = 0;
  std::int64_t now_s_ = 0;
  std::vector<Alert> sent_;
};

constexpr std::int64_t fault_at = day_s + 3 * hour_s;
bool within(std::int64_t second, std::int64_t length) {
  return second >= fault_at && second < fault_at + length;
}

using Names = std::set<std::string>;

TEST_CASE("a healthy week of a node with eight GPUs sends nothing above info") {
  for (const Alert& alert : Week().play())
    FAIL_CHECK(alert.name << " " << label_text(alert.labels) << ": " << alert.summary);
}

TEST_CASE("a hot GPU is one alert whose severity grows, and three are one alert of the node") {
  const auto hot = [](std::size_t boards) {
    return [boards](std::int64_t second, std::size_t board, Board& seen) {
      if (!within(second, 2 * hour_s) || board >= boards) return;
      seen.margin = 1;
      seen.sw_thermal = true;
      seen.hw_thermal = second >= fault_at + hour_s;
    };
  };
  const std::vector<Alert> sent = Week(hot(1)).play();
  REQUIRE(sent.size() == 3);
  CHECK(sent[0].name == "PerjouleGpuThermalThrottling");
  CHECK(sent[1].name == "PerjouleGpuHardwareThrottling");
  CHECK(sent[1].severity == "critical");
  // The hardware lets go first: its 5 min are over while the 15 min of the software still say that the GPU was hot.
  CHECK(sent[2].name == "PerjouleGpuThermalThrottling");
  const std::vector<Alert> all = Week(hot(8)).play();
  // They cross their thresholds one after the other: at most two are sent before the third makes it the node's.
  std::vector<std::string> of_node;
  std::size_t of_gpus = 0;
  for (const Alert& alert : all) {
    if (subject(alert).is_gpu) {
      ++of_gpus;
      CHECK(of_node.empty());
    } else {
      of_node.push_back(alert.name);
    }
  }
  CHECK(of_gpus <= 2);
  CHECK(of_node == std::vector<std::string>{"PerjouleGpusHot", "PerjouleGpusOverheated", "PerjouleGpusHot"});
  CHECK(all.back().summary == "8 GPUs of this node are too hot.");
}

TEST_CASE("a lost GPU is one alert, however long it lasts, and eight are one") {
  const auto gone = [](std::size_t boards, bool said) {
    return [boards, said](std::int64_t second, std::size_t board, Board& seen) {
      if (second < fault_at || board >= boards) return;
      seen.answers = false;
      seen.lost = said;
    };
  };
  const std::vector<Alert> at_once = Week(gone(1, true)).play();
  REQUIRE(at_once.size() == 1);
  CHECK(at_once[0].name == "PerjouleGpuLost");
  CHECK(at_once[0].starts_ms == 1'795'424'400'000 + fault_at * 1'000);
  CHECK(at_once[0].summary == "GPU 0 is lost: the board GPU-0 at 0000:00:00.0 does not answer.");
  const std::vector<Alert> later = Week(gone(1, false)).play();
  REQUIRE(later.size() == 1);
  CHECK(later[0].starts_ms == 1'795'424'400'000 + (fault_at - step_s + 180) * 1'000);
  CHECK(Week(gone(8, false)).names() == Names{"PerjouleGpusLost/critical"});
}

TEST_CASE("a power brake of some seconds is a warning, of a minute critical") {
  const auto brake = [](std::int64_t length) {
    return [length](std::int64_t second, std::size_t board, Board& seen) {
      seen.power_brake = board == 2 && within(second, length);
    };
  };
  CHECK(Week(brake(15)).names() == Names{"PerjouleGpuPowerBrake/warning"});
  CHECK(Week(brake(75)).names() == Names{"PerjouleGpuPowerBrake/critical", "PerjouleGpuPowerBrake/warning"});
}

}  // namespace
}  // namespace perjoule::alerts
