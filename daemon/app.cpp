#include "daemon/app.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <utility>

#include "collectors/cpu_package.hpp"
#include "collectors/registry.hpp"
#include "collectors/sensor_metrics.hpp"
#include "collectors/thermal/hwmon_chip.hpp"
#include "config/text.hpp"
#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/alerts/rules/unproduced.hpp"
#include "daemon/base/boot.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/families.hpp"
#include "daemon/record/ledger_migration.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/own_power.hpp"
#include "daemon/self/own_series.hpp"

namespace perjoule {

namespace {

constexpr std::chrono::milliseconds lanes_deadline{500};
constexpr std::chrono::milliseconds flush_deadline{1000};

// Families whose totals have labels that users choose, so that there is no end to them.
bool is_of_textfiles(std::string_view family) {
  const auto names = [family](const Entry* entry) {
    return std::any_of(entry->metrics.begin(), entry->metrics.end(),
                       [family](const Metric* metric) { return metric->name == family; });
  };
  const auto entries = registry();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry* entry) { return entry->name == "textfile" && names(entry); }) &&
         std::none_of(entries.begin(), entries.end(),
                      [&](const Entry* entry) { return entry->name != "textfile" && names(entry); });
}

// A chip whose total was never kept has nothing to migrate: the chips are not looked for then.
HostNames host_names(const Roots& roots, const storage::LedgerRows& rows) {
  HostNames names{{}, read_cpu_vendor(roots.procfs) == CpuVendor::amd};
  const bool has_sensors = std::any_of(rows.totals.begin(), rows.totals.end(), [](const storage::TotalRow& row) {
    return row.key.starts_with(sensor_energy.name);
  });
  for (const Chip& chip : has_sensors ? find_chips(roots.sysfs) : std::vector<Chip>{}) {
    if (chip.label != chip.former_label) names.chips.emplace_back(chip.former_label, chip.label);
  }
  return names;
}

}  // namespace

App::App(config::Input input, config::Loaded loaded, BuildInfo build, const Supervisor& supervisor,
         std::size_t connections_max)
    : input_(std::move(input)),
      started_(std::move(loaded)),
      settings_(started_.settings),
      build_(std::move(build)),
      connections_max_(connections_max),
      log_(settings_.log, supervisor.journal),
      clock_(loop_),
      service_(loop_, clock_, supervisor),
      lanes_(loop_),
      instruments_(build_),
      signal_set_(loop_, SIGTERM, SIGINT, SIGHUP),
      tick_(clock_.alarm()) {}

App::~App() = default;

int App::run() {
  log_.start_writer();
  log_.info(
      "starting",
      {{"version", build_.version}, {"revision", build_.revision}, {"configuration", config::files_read(started_)}});
  if (!open_storage() || !listen()) return 1;
  instruments_.reload(true, static_cast<double>(clock_.now().wall_ms) / 1000);
  watts_per_busy_cpu_ = watts_per_busy_cpu(settings_);
  recorder_->configure(settings_.efficiency);
  recorder_->settle(false, clock_.now());
  start_alerts();
  start_sources(settings_);
  start_reloader();
  asio::co_spawn(loop_, housekeeping(), asio::detached);
  asio::co_spawn(loop_, signals(), asio::detached);
  loop_.run();
  shut_down();
  return 0;
}

// Without storage the totals start at zero. The start fails when another daemon holds the directory or this user may
// not write to it. A disk that is full, now or later, does not stop the daemon: the writer retries at each commit.
bool App::open_storage() {
  storage::LedgerRows rows;
  if (settings_.storage.enabled && !open_files(rows)) return false;
  const std::string boot = boot_id(settings_.roots);
  for (const std::string& line : migrate(rows, boot, host_names(settings_.roots, rows)))
    log_.warn("a total of an earlier version", {{"note", line}});
  ledger_.emplace(rows, boot);
  recorder_.emplace(latest_, *ledger_, writer_.get(), make_rows(*ledger_));
  set_retention();
  sources_.emplace(*recorder_, [this](const SourceStatus& before, const SourceStatus& after) {
    changes_.source(before, after, clock_.now().steady_ns);
  });
  sources_->on_items([this](const SourceStatus& status, std::span<const SourceItem> changed) {
    changes_.items(status, changed, clock_.now().steady_ns);
  });
  const OnLateness lateness = [this](std::int64_t late_ns) {
    instruments_.lateness(static_cast<double>(late_ns) / 1e9);
  };
  const MakeLane make_lane = [this] { return lanes_.make(); };
  roster_.emplace(*ledger_, *recorder_, *sources_, log_, make_lane,
                  directory_ ? directory_->path() : std::filesystem::path());
  sampler_.emplace(loop_, clock_, make_lane, *recorder_, *sources_, lateness, roster_->inventory());
  return true;
}

bool App::open_files(storage::LedgerRows& rows) {
  const std::filesystem::path& path = settings_.storage.path;
  service_.opening(path.native());
  const auto refuse = [&](const Error& error) {
    log_.error("cannot use the storage", {{"path", path.native()}, {"error", error.what}, {"remedy", error.remedy}});
    return false;
  };
  Result<storage::Directory> directory = storage::Directory::claim(path);
  if (!directory) return refuse(directory.error());
  directory_.emplace(std::move(*directory));

  std::unique_ptr<storage::LedgerFile> ledger;
  storage::Notes notes;
  Result<storage::LedgerFile> opened = storage::LedgerFile::open(path / "ledger.db", clock_.now().wall_ms, notes);
  for (const std::string& note : notes)
    log_.warn("storage", {{"note", note}});
  Result<storage::LedgerRows> loaded =
      opened ? opened->load() : storage::LedgerFile::load_read_only(path / "ledger.db");
  if (opened) ledger = std::make_unique<storage::LedgerFile>(std::move(*opened));
  // If saved totals exist but cannot be read, starting from zero would make every counter fall.
  if (!loaded && std::filesystem::exists(path / "ledger.db")) return refuse(loaded.error());
  if (!opened) log_.error("storing fails; sampling and scraping go on", {{"error", opened.error().what}});
  if (loaded) rows = std::move(*loaded);

  // While a file fails it is reopened at each commit. Each file has its own copy of this callback, which suppresses
  // repetitions of the same note.
  const auto note = [this, said = std::string()](const std::string& text) mutable {
    if (text != said) log_.warn("storage", {{"note", text}});
    said = text;
  };
  storage::WriterLimits limits;
  limits.lossless = settings_.storage.lossless;
  storage::WriterFiles files = storage::files_in(
      path, [this] { return clock_.now().wall_ms; }, note);
  files.reading = reading_;
  writer_ =
      std::make_unique<storage::Writer>(std::move(files), std::move(ledger), rows, limits,
                                        [this](std::function<void()> task) { asio::post(loop_, std::move(task)); });
  return true;
}

void App::set_retention() {
  const config::Retention& keys = settings_.storage.retention;
  recorder_->bound_totals(is_of_textfiles, keys.hour.count());
  if (writer_) writer_->retention({keys.raw.count(), keys.minute.count(), keys.hour.count(), keys.size_bytes});
}

bool App::listen() {
  web::Setup setup{clock_, latest_, instruments_, source_status_, {}, {}, {}, {}};
  setup.telemetry_path = settings_.web.telemetry_path;
  setup.version = fmt::format("{} ({})", build_.version, build_.revision);
  setup.collects = collects();
  setup.bodies = bodies_;
  if (settings_.web.enable_lifecycle) {
    setup.reload = [this](Reloader::Done done) {
      asio::post(loop_, [this, done = std::move(done)]() mutable { reloader_->request(std::move(done)); });
    };
  }
  const auto counted = [this](query::Reader::Reply reply) {
    return [this, reply = std::move(reply)](query::Answer answer) {
      instruments_.query(answer.status);
      reply(std::move(answer));
    };
  };
  if (writer_) {
    start_reader();
    setup.ask = [this, counted](std::string path, query::Parameters parameters, query::Reader::Reply reply) {
      reader_->ask(std::move(path), std::move(parameters), counted(std::move(reply)));
    };
  }
  // Safe although alerts_ is set later: the posted task runs on the loop, which starts after start_alerts().
  setup.ask_rules = [this, counted](std::string path, query::Parameters parameters, query::Reader::Reply reply) {
    asio::post(loop_,
               [this, path = std::move(path), parameters = std::move(parameters), reply = counted(std::move(reply))] {
                 reply(alerts::answer(path, parameters, alerts_->report(), {{}, settings_.alerts.runbook_url}));
               });
  };
  routes_.emplace(std::move(setup));
  http::Limits limits;
  limits.concurrent_requests = static_cast<std::size_t>(settings_.web.max_requests);
  limits.connections = std::min(limits.connections, connections_max_);
  limits.bodies = std::make_shared<const http::BodyBudget>(bodies_);
  limits.urgent_paths = {"/-/healthy", "/-/ready"};
  server_ = std::make_unique<http::Server>(settings_.web.listen_address, limits,
                                           [this](const http::Request& request) { return (*routes_)(request); });
  const Result<void> started = server_->start();
  if (!started) {
    log_.error("cannot serve HTTP", {{"error", started.error().what}, {"remedy", started.error().remedy}});
    return false;
  }
  for (const std::string& address : server_->addresses()) {
    log_.info("listening", {{"url", fmt::format("http://{}{}", address, settings_.web.telemetry_path)}});
  }
  return true;
}

void App::start_reader() {
  query::Reader::Setup setup{
      loop_, clock_, lanes_.make(query::Reader::stack_bytes), settings_.storage.path / "history.db", {}, {}};
  for (const MetricGroup& group : metric_groups())
    setup.metrics.insert(setup.metrics.end(), group.metrics.begin(), group.metrics.end());
  setup.reading = reading_;
  setup.metrics.push_back(&up);
  setup.is_histogram = Instruments::is_histogram;
  // For the answer and for what is allocated while it grows.
  setup.has_room = [this] { return bodies_.has_room(2 * query::Limits{}.answer_bytes_max); };
  setup.build = {build_.version, build_.revision, build_.branch, build_.compiler};
  reader_.emplace(std::move(setup));
}

void App::start_alerts() {
  const MakeLane make_lane = [this] { return lanes_.make(); };
  dispatch_.emplace(alerts::Dispatch::Parts{loop_, clock_, *recorder_, *ledger_, log_, make_lane, build_.version,
                                            server_->addresses().front(),
                                            directory_ ? directory_->path() : std::filesystem::path()});
  dispatch_->configure(settings_.alerts, settings_.web.external_url);
  alerts_.emplace(alerts::Engine::Parts{clock_, latest_, *recorder_, instruments_, *ledger_, log_},
                  [this](std::span<const alerts::Alert> changed) {
                    dispatch_->update(changed, alerts_->firing());
                    // Saved soon, so that after a crash a notified alert is recognized as the same incident.
                    asio::post(loop_, [this] { flush(); });
                  });
  alerts_->set_rules(alerts::rules_in_force(settings_.alerts));
  dispatch_->start(alerts_->firing());
  recorder_->on_change([this] { alerts_->wake(); });
  asio::co_spawn(loop_, alerts_->run(), asio::detached);
  check_rules();
}

void App::check_rules() {
  silent_rules_ = alerts::unproduced_rules(settings_);
  for (const std::string& line : silent_rules_)
    log_.warn("an alert rule cannot fire", {{"rule", line}});
}

void App::start_sources(const config::Settings& settings) {
  for (const Entry* entry : registry()) {
    const config::CollectorSettings collector = collector_settings(settings, entry->name);
    if (collector.enabled) sampler_->start(*entry, collector, settings.roots);
  }
}

// Once per second, aligned to the wall clock: commit, refresh the copies for the web thread, measure the process.
asio::awaitable<void> App::signals() {
  while (!stopping_) {
    boost::system::error_code error;
    const int number = co_await signal_set_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    if (number == SIGHUP) {
      reloader_->request();
      continue;
    }
    log_.info("stopping", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
    service_.stopping();
    stopping_ = true;
    loop_.stop();
  }
}

void App::shut_down() {
  const std::int64_t from_ns = clock_.now().steady_ns;
  server_->stop();
  reader_.reset();
  dispatch_.reset();
  sampler_.reset();
  reloader_.reset();
  roster_.reset();
  const bool lanes_ended = lanes_.drain(lanes_deadline);
  if (writer_) {
    const auto until = std::chrono::steady_clock::now() + flush_deadline;
    recorder_->commit_last(clock_.now());
    stored_ = writer_->stop(until);
  }
  clean_ = lanes_ended && stored_;
  if (!lanes_ended) log_.warn("a call still hangs in a driver, the resolver or a file; its thread is left behind");
  if (!stored_) log_.error("the last samples could not be stored in time");
  const double took_s = static_cast<double>(clock_.now().steady_ns - from_ns) / 1e9;
  log_.info("stopped", {{"took", fmt::format("{:.1f} s", took_s)}});
  if (!clean_) log_.flush();
}

}  // namespace perjoule
