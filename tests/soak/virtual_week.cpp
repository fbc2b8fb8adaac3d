// virtual_week [--hours=168]: a week of a daemon's life on virtual time, in which nothing may grow.
//
// The real sampler, collectors, recorder, ledger and writer run on a host made of files in a directory of memory: a
// zone that is disabled, one that is disabled and enabled in turns, a hwmon chip that comes and goes, and a textfile
// with 1,000 jobs of which ten are replaced by new ones each minute. Retention is 1 h, 6 h and 2 d. Prints its figures
// each six hours. Exit 1: something has grown.
#include <malloc.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <map>
#include <semaphore>
#include <set>

#include "collectors/registry.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/sampler.hpp"
#include "daemon/sampling/sources.hpp"
#include "daemon/self/own_series.hpp"
#include "storage/directory.hpp"
#include "storage/ledger_file.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/writer.hpp"
#include "tests/fakes/tree.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/soak/arguments.hpp"
#include "tests/soak/figures.hpp"

namespace {

using namespace perjoule;

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr std::int64_t minute_s = 60;
constexpr std::int64_t hour_s = 3600;
constexpr std::int64_t day_s = 24 * hour_s;
constexpr std::int64_t jobs_alive = 1000;
constexpr std::int64_t jobs_replaced = 10;  // each minute
constexpr std::int64_t settled_hour = 52;   // in the third day: the first rows of all kinds have expired
constexpr storage::RetentionPolicy policy{hour_s * 1000, 6 * hour_s * 1000, 2 * day_s * 1000, std::int64_t{256} << 20};

// Passes everything on to the writer and counts what it has to remember.
class CountingSink final : public storage::Sink {
 public:
  explicit CountingSink(storage::Writer& writer) : writer_(writer) {}
  void describe(storage::SeriesDescription series) override {
    series_.insert(series.id);
    writer_.describe(std::move(series));
  }
  void describe(storage::GroupDescription group) override {
    groups_.insert(group.id);
    writer_.describe(std::move(group));
  }
  void forget(std::vector<SeriesId> series) override {
    for (const SeriesId id : series)
      series_.erase(id);
    writer_.forget(std::move(series));
  }
  void forget(storage::GroupId group) override {
    groups_.erase(group);
    writer_.forget(group);
  }
  void push(storage::Tick tick) override {
    samples += tick.samples.size();
    writer_.push(std::move(tick));
  }
  void commit(std::uint64_t generation, storage::LedgerRows changed, bool history, OnReport done) override {
    writer_.commit(generation, std::move(changed), history, std::move(done));
  }
  void retention(const storage::RetentionPolicy& keep) override { writer_.retention(keep); }

  [[nodiscard]] std::size_t series() const { return series_.size(); }
  [[nodiscard]] std::size_t groups() const { return groups_.size(); }
  std::uint64_t samples = 0;

 private:
  storage::Writer& writer_;
  std::set<SeriesId> series_;
  std::set<storage::GroupId> groups_;
};

// The files of the host, changed as time passes.
class Host {
 public:
  explicit Host(const Tree& tree) : tree_(tree) {
    for (int zone = 0; zone < 3; ++zone) {
      const std::string at = fmt::format("sys/class/thermal/thermal_zone{}/", zone);
      tree_.write(at + "type", fmt::format("zone_of_test_{}\n", zone));
      tree_.write(at + "temp", "41000\n");
      tree_.write(at + "mode", zone == 0 ? "disabled\n" : "enabled\n");
    }
    for (int package = 0; package < 2; ++package) {
      const std::string at = fmt::format("sys/class/powercap/intel-rapl:{}/", package);
      tree_.write(at + "name", fmt::format("package-{}\n", package));
      tree_.write(at + "max_energy_range_uj", "262143328850\n");
    }
  }
  void live(std::int64_t second) {
    for (int package = 0; package < 2; ++package) {
      const std::int64_t energy = (second * 150'000'000) % 262'143'328'851;
      tree_.write(fmt::format("sys/class/powercap/intel-rapl:{}/energy_uj", package), fmt::format("{}\n", energy));
    }
    if (second % (10 * minute_s) == 0) {
      const bool disabled = second / (10 * minute_s) % 2 == 1;
      tree_.write("sys/class/thermal/thermal_zone1/mode", disabled ? "disabled\n" : "enabled\n");
    }
    if (second % (12 * minute_s) == 0) chip(true);
    if (second % (12 * minute_s) == 7 * minute_s) chip(false);
    if (second % minute_s == 0) jobs(second / minute_s);
  }

 private:
  void chip(bool is_there) const {
    if (!is_there) return tree_.remove("sys/class/hwmon/hwmon3");
    tree_.write("sys/class/hwmon/hwmon3/name", "flapping\n");
    tree_.write("sys/class/hwmon/hwmon3/temp1_input", "38000\n");
    tree_.write("sys/class/hwmon/hwmon3/power1_input", "25000000\n");
  }
  void jobs(std::int64_t minute) const {
    std::string text = "# TYPE perjoule_work_total counter\n";
    for (std::int64_t job = minute * jobs_replaced; job < minute * jobs_replaced + jobs_alive; ++job)
      text += fmt::format("perjoule_work_total{{workload=\"job-{}\",kind=\"steps\"}} {}\n", job, minute * 60 + job % 7);
    tree_.write("textfiles/site.prom.new", text);
    std::filesystem::rename(tree_.at("textfiles/site.prom.new"), tree_.at("textfiles/site.prom"));
  }
  const Tree& tree_;
};

struct Figures {
  std::size_t probes = 0, series = 0, described = 0, shown = 0;
  std::size_t heap = 0;
  std::map<std::string, std::int64_t> rows;
};

void count_rows(const std::filesystem::path& file, Figures& figures) {
  auto connection = need(storage::Connection::open(file, storage::Connection::Mode::read_only));
  std::vector<std::string> tables;
  {
    auto names = need(connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'"));
    while (need(names.step()))
      tables.emplace_back(names.text(0));
  }
  for (const std::string& table : tables) {
    auto count = need(connection.prepare("SELECT count(*) FROM " + table));
    if (need(count.step())) figures.rows[file.stem().string() + '.' + table] = count.integer(0);
  }
}

class Week {
 public:
  explicit Week(Verdict& verdict) : verdict_(verdict) {
    tree_.write("textfiles/.keep", "");
    roots_.nvml = tree_.at("no-driver");
    std::filesystem::create_directories(files_);
    storage::Notes notes;
    auto ledger = std::make_unique<storage::LedgerFile>(
        need(storage::LedgerFile::open(files_ / "ledger.db", clock_.now().wall_ms, notes)));
    storage::WriterFiles files = storage::files_in(
        files_, [this] { return wall_ms_.load(); }, [this](const std::string& line) { verdict_.violation(line); });
    writer_ = std::make_unique<storage::Writer>(std::move(files), std::move(ledger), storage::LedgerRows{},
                                                storage::WriterLimits{}, [this](std::function<void()> task) {
                                                  asio::post(loop_, std::move(task));
                                                  posted_.release();
                                                });
    writer_->retention(policy);
    sink_.emplace(*writer_);
    recorder_.emplace(latest_, ledger_, &*sink_, make_rows(ledger_));
    recorder_->bound_totals([](std::string_view family) { return family == "perjoule_work_total"; }, policy.hour_ms);
    sources_.emplace(*recorder_, Sources::OnChange{});
    const MakeLane lanes = [this] {
      return std::make_unique<fakes::VirtualLane>(clock_, [] { return std::int64_t{200'000}; });
    };
    sampler_.emplace(loop_, clock_, lanes, *recorder_, *sources_);
  }

  void run(std::int64_t hours);

 private:
  void start_collectors();
  void live(std::int64_t second);
  void commit(bool history);
  Figures look();
  void judge(std::int64_t hour, const Figures& now);
  void near(std::string_view what, double now, double reference, double share) {
    if (now < reference * (1 - share) || now > reference * (1 + share))
      verdict_.violation(fmt::format("hour {}: {} is {}, {} before", hour_, what, now, reference));
  }

  Verdict& verdict_;
  asio::io_context loop_{1};
  fakes::VirtualClock clock_{loop_, Stamp{1000 * second_ns, 1'795'424'400'000}};
  Tree tree_;
  Host host_{tree_};
  Roots roots_ = tree_.roots();
  std::filesystem::path files_ = tree_.at("files");
  std::atomic<std::int64_t> wall_ms_ = 0;
  std::counting_semaphore<> posted_{0};
  Latest latest_;
  Ledger ledger_{storage::LedgerRows{}, "boot"};
  Instruments instruments_{{"0", "", "", ""}};
  std::unique_ptr<storage::Writer> writer_;
  std::optional<CountingSink> sink_;
  std::optional<Recorder> recorder_;
  std::optional<Sources> sources_;
  std::optional<Sampler> sampler_;
  std::optional<Figures> first_hour_, third_day_;
  std::int64_t hour_ = 0;
};

void Week::start_collectors() {
  for (const Entry* entry : registry()) {
    if (entry->name != "rapl" && entry->name != "thermal_zone" && entry->name != "hwmon" && entry->name != "textfile")
      continue;
    config::CollectorSettings settings;
    settings.period = entry->period;
    settings.deadline = entry->deadline;
    settings.stale_after = 10 * entry->period;
    if (entry->name == "textfile") settings.options.set("directory", tree_.at("textfiles").native());
    sampler_->start(*entry, settings, roots_);
  }
}

// What App does each second (daemon/app.cpp).
void Week::live(std::int64_t second) {
  host_.live(second);
  clock_.run_until(clock_.now().steady_ns + second_ns);
  const Stamp now = clock_.now();
  wall_ms_ = now.wall_ms;
  recorder_->end_series(now);
  const bool all = second % 15 == 0;
  if (all) keep_instruments(*recorder_, instruments_, second % minute_s == 0);
  recorder_->push_own(now, all);
  if (second % minute_s == minute_s - 1) recorder_->drop_unused(now);
  commit(second % 5 == 4);
}

void Week::commit(bool history) {
  recorder_->commit(history, [this](const storage::Report& report) {
    if (!report.error.empty()) verdict_.violation(fmt::format("hour {}: commit: {}", hour_, report.error));
    instruments_.storage(report);
  });
  while (recorder_->committing()) {
    posted_.acquire();
    loop_.restart();
    loop_.poll();
  }
}

Figures Week::look() {
  Figures figures;
  figures.probes = sink_->groups();
  figures.series = recorder_->series().size();
  figures.described = sink_->series();
  latest_.visit(clock_.now().steady_ns, [&](const Metric&, std::string_view, double) { ++figures.shown; });
  figures.heap = mallinfo2().uordblks;
  count_rows(files_ / "ledger.db", figures);
  count_rows(files_ / "history.db", figures);
  return figures;
}

// Figures are taken at the same second of an hour, so that the flapping devices are in the same state.
void Week::judge(std::int64_t hour, const Figures& now) {
  hour_ = hour;
  if (hour == 1) first_hour_ = now;
  if (hour == settled_hour) third_day_ = now;
  if (hour % 6 == 0 || hour <= 2) {
    std::string line =
        fmt::format("hour {}: {} probes, {} series ({} in the writer, {} shown), heap {:.2f} MiB;", hour, now.probes,
                    now.series, now.described, now.shown, static_cast<double>(now.heap) / (1 << 20));
    for (const auto& [table, rows] : now.rows)
      line += fmt::format(" {} {}", table, rows);
    Verdict::say(line);
  }
  if (hour < 2) return;
  near("number of probes", static_cast<double>(now.probes), static_cast<double>(first_hour_->probes), 0.02);
  near("number of series", static_cast<double>(now.series), static_cast<double>(first_hour_->series), 0.02);
  near("number in the writer", static_cast<double>(now.described), static_cast<double>(first_hour_->described), 0.02);
  if (hour <= settled_hour) return;
  near("heap", static_cast<double>(now.heap), static_cast<double>(third_day_->heap), 0.05);
  for (const auto& [table, rows] : now.rows)
    near("rows of " + table, static_cast<double>(rows), static_cast<double>(third_day_->rows.at(table)), 0.02);
}

void Week::run(std::int64_t hours) {
  host_.live(0);
  start_collectors();
  for (std::int64_t second = 0; second <= hours * hour_s; ++second) {
    live(second);
    if (second > 0 && second % hour_s == 0) judge(second / hour_s, look());
  }
  verdict_.expect(recorder_->series().refused() == 0, "series were refused");
  verdict_.expect(sink_->samples > 0, "nothing was sampled");
}

}  // namespace

int main(int argc, char** argv) {
  Verdict verdict;
  Week(verdict).run(static_cast<std::int64_t>(argument(argc, argv, "--hours=", 168)));
  Verdict::say(fmt::format("{} violations", verdict.count()));
  return verdict.count() == 0 ? 0 : 1;
}
