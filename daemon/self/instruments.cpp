#include "daemon/self/instruments.hpp"

#include <prometheus/registry.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <string_view>
#include <vector>

#include "daemon/self/instruments_text.hpp"

namespace perjoule {

namespace {

constexpr auto build_info = gauge<Unit::none>("perjoule_build_info", "Version of the running daemon; always 1.",
                                              "version", "revision", "branch", "compiler");
constexpr auto reload_successful = gauge<Unit::none>(
    "perjoule_config_last_reload_successful", "1 if the configuration had no errors when it was last read, else 0.");
constexpr auto reload_timestamp =
    gauge<Unit::second>("perjoule_config_last_reload_success_timestamp_seconds",
                        "Time when the configuration was last read without errors, in seconds since the epoch.");
constexpr auto storage_size =
    gauge<Unit::byte>("perjoule_storage_size_bytes", "Size of the history on disk, database and WAL.");
constexpr auto storage_series = gauge<Unit::none>("perjoule_storage_series", "Series in the history.");
constexpr auto storage_oldest = gauge<Unit::second>("perjoule_storage_oldest_sample_timestamp_seconds",
                                                    "Time of the oldest sample in the history, in seconds since the "
                                                    "epoch.");
constexpr auto storage_appended =
    counter<Unit::none>("perjoule_storage_appended_samples_total", "Samples committed to the history since the start.");
constexpr auto storage_dropped = counter<Unit::none>(
    "perjoule_storage_dropped_samples_total",
    "Samples lost because the write queue was full: the disk is slow, full or read-only, or a reader "
    "keeps the history at its size limit.");
constexpr auto storage_refused =
    counter<Unit::none>("perjoule_storage_refused_samples_total",
                        "Samples rejected by the history because their timestamps were late or out of order.");
constexpr auto storage_expired = counter<Unit::none>(
    "perjoule_storage_expired_samples_total",
    "Raw samples deleted since the start for their age or the size limit; their roll-ups are kept longer.");
constexpr auto storage_undecodable =
    counter<Unit::none>("perjoule_storage_undecodable_frames_total",
                        "Frames found damaged on disk when their slot was sealed; their samples were left out.");
constexpr auto storage_reach = gauge<Unit::second>(
    "perjoule_storage_retention_seconds",
    "How far back the history reaches at the current write rate, within its age and size limits; +Inf: no limit.",
    "resolution");
constexpr auto storage_failures = counter<Unit::none>("perjoule_storage_failed_commits_total",
                                                      "Failed commits of the ledger and of the history.", "file");
constexpr auto storage_recoveries =
    counter<Unit::none>("perjoule_storage_recoveries_total",
                        "Times that others moved, deleted, replaced or overwrote a file while the daemon ran, and "
                        "it was saved or written again.",
                        "file");
constexpr auto storage_starved = counter<Unit::none>(
    "perjoule_storage_starved_checkpoints_total",
    "Times that another program's read transaction kept a write-ahead log from being emptied: that "
    "of the history for a minute, that of the ledger until it had 8 MiB; the log names the program.");
constexpr auto storage_commit =
    gauge<Unit::second>("perjoule_storage_commit_duration_seconds",
                        "Duration of commits, from the start of the transaction until it is on disk.", "file");
constexpr auto storage_pending =
    gauge<Unit::second>("perjoule_storage_commit_pending_seconds",
                        "How long the commit under way has lasted: 0 when none is. A disk that hangs makes it grow.");
constexpr auto http_connections = gauge<Unit::none>("perjoule_http_connections", "Open connections.");
constexpr auto http_accepted = counter<Unit::none>("perjoule_http_connections_accepted_total", "Connections accepted.");
constexpr auto http_evicted =
    counter<Unit::none>("perjoule_http_connections_evicted_total",
                        "Idle or stalled connections closed to make room for another connection or request.");
constexpr auto http_requests = counter<Unit::none>("perjoule_http_requests_total", "Requests answered.");
constexpr auto http_refused =
    counter<Unit::none>("perjoule_http_requests_refused_total",
                        "Requests refused by the server: malformed, too large, or too many at once.");
constexpr auto http_delayed = counter<Unit::none>("perjoule_http_requests_delayed_total",
                                                  "Requests delayed because their connection exceeded the rate limit.");
constexpr auto http_timeouts =
    counter<Unit::none>("perjoule_http_timeouts_total", "Connections closed because the client was too slow.");
constexpr auto http_failures = counter<Unit::none>("perjoule_http_handler_failures_total",
                                                   "Requests answered with 500 because of an error in the daemon.");
constexpr auto queries = counter<Unit::none>(
    "perjoule_queries_total", "API queries answered, by HTTP status; 503: too many were waiting, or one took too long.",
    "code");
constexpr auto scrape_size =
    gauge<Unit::byte>("perjoule_scrape_size_bytes", "Size of the last rendered exposition, uncompressed.");
constexpr auto scrape_duration =
    gauge<Unit::second>("perjoule_scrape_render_duration_seconds", "Time to render an exposition.");
constexpr auto sampling_lateness = gauge<Unit::second>(
    "perjoule_sampling_lateness_seconds", "Delay between the due time and the start of a collector's call.");
constexpr auto series_fresh =
    gauge<Unit::none>("perjoule_series", "Series in a scrape, without the daemon's own instruments.");
constexpr auto series_refused = counter<Unit::none>(
    "perjoule_series_refused_total", "Readings dropped because the limit on the number of series was reached.");
constexpr auto log_lines_dropped = counter<Unit::none>(
    "perjoule_log_dropped_lines_total", "Log lines lost because stderr did not take them in time or refused them.");
constexpr auto totals_expired = counter<Unit::none>(
    "perjoule_storage_expired_totals_total",
    "Totals of textfiles deleted from the ledger since the start: the least recently read beyond 20,000, and those not "
    "read for storage.retention.hour.");
constexpr auto self_energy = counter<Unit::joule>("perjoule_self_energy_joules_total",
                                                  "Modelled energy of the daemon since its start: its CPU time times "
                                                  "the dynamic power of one busy CPU.");
constexpr auto process_cpu =
    counter<Unit::second>("process_cpu_seconds_total", "User and system CPU time of the daemon.");
constexpr auto process_resident = gauge<Unit::byte>("process_resident_memory_bytes", "Resident memory of the daemon.");
constexpr auto process_virtual = gauge<Unit::byte>("process_virtual_memory_bytes", "Virtual memory of the daemon.");
constexpr auto process_fds = gauge<Unit::none>("process_open_fds", "Open file descriptors.");
constexpr auto process_max_fds = gauge<Unit::none>("process_max_fds", "Limit on open file descriptors.");
constexpr auto process_start =
    gauge<Unit::second>("process_start_time_seconds", "Start time of the daemon, in seconds since the epoch.");

constexpr auto all_metrics = std::to_array<const Metric*>(
    {&build_info,          &reload_successful,  &reload_timestamp, &storage_size,      &storage_series,
     &storage_oldest,      &storage_appended,   &storage_dropped,  &storage_refused,   &storage_expired,
     &storage_undecodable, &storage_reach,      &storage_failures, &storage_commit,    &http_connections,
     &http_accepted,       &http_evicted,       &http_requests,    &http_refused,      &http_delayed,
     &http_timeouts,       &http_failures,      &queries,          &scrape_size,       &scrape_duration,
     &sampling_lateness,   &series_fresh,       &series_refused,   &self_energy,       &process_cpu,
     &process_resident,    &process_virtual,    &process_fds,      &process_max_fds,   &process_start,
     &storage_pending,     &storage_recoveries, &storage_starved,  &log_lines_dropped, &totals_expired});

constexpr std::array query_codes = {200U, 400U, 404U, 422U, 500U, 503U};  // every status of query::answer and Reader

const prometheus::Histogram::BucketBoundaries commit_buckets = {0.001, 0.0025, 0.005, 0.01, 0.025,
                                                                0.05,  0.1,    0.25,  1,    5};
const prometheus::Histogram::BucketBoundaries render_buckets = {0.0001, 0.00025, 0.0005, 0.001,
                                                                0.0025, 0.005,   0.01,   0.1};
const prometheus::Histogram::BucketBoundaries lateness_buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                                  0.01,   0.025,   0.05,   0.1,   1};

// Raises the counter to a total that is counted elsewhere.
void follow(prometheus::Counter& counter, double total) {
  const double behind = total - counter.Value();
  if (behind > 0) counter.Increment(behind);
}

double process_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::size_t open_descriptors() {
  std::error_code ignored;
  std::filesystem::directory_iterator entries("/proc/self/fd", ignored);
  if (ignored) return 0;
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace

struct Instruments::Families {
  prometheus::Registry registry;
  std::mutex mutex;  // guards the lists; the instruments themselves are atomic
  std::vector<Shown<prometheus::Counter>> counters;
  std::vector<Shown<prometheus::Gauge>> gauges;
  std::vector<Shown<prometheus::Histogram>> histograms;

  prometheus::Gauge& gauge_of(const Metric& metric, const prometheus::Labels& labels = {}) {
    const std::lock_guard lock(mutex);
    auto& family =
        prometheus::BuildGauge().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
    return keep(gauges, metric, labels, family.Add(labels));
  }
  prometheus::Counter& counter_of(const Metric& metric, const prometheus::Labels& labels = {}) {
    const std::lock_guard lock(mutex);
    auto& family =
        prometheus::BuildCounter().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
    return keep(counters, metric, labels, family.Add(labels));
  }
  prometheus::Histogram& histogram_of(const Metric& metric, const prometheus::Histogram::BucketBoundaries& buckets,
                                      const prometheus::Labels& labels = {}) {
    const std::lock_guard lock(mutex);
    auto& family =
        prometheus::BuildHistogram().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
    return keep(histograms, metric, labels, family.Add(labels, buckets));
  }

  template <class Values>
  std::vector<prometheus::Counter*> counters_of(const Metric& metric, const char* label, const Values& values) {
    std::vector<prometheus::Counter*> all;
    for (const auto& value : values)
      all.push_back(&counter_of(metric, {{label, std::to_string(value)}}));
    return all;
  }

  prometheus::Gauge& reload_ok = gauge_of(reload_successful);
  prometheus::Gauge& reload_time = gauge_of(reload_timestamp);
  prometheus::Counter& appended = counter_of(storage_appended);
  prometheus::Counter& dropped = counter_of(storage_dropped);
  prometheus::Counter& refused_samples = counter_of(storage_refused);
  prometheus::Counter& expired = counter_of(storage_expired);
  prometheus::Counter& undecodable = counter_of(storage_undecodable);
  prometheus::Counter& ledger_failures = counter_of(storage_failures, {{"file", "ledger"}});
  prometheus::Counter& history_failures = counter_of(storage_failures, {{"file", "history"}});
  prometheus::Counter& ledger_recoveries = counter_of(storage_recoveries, {{"file", "ledger"}});
  prometheus::Counter& history_recoveries = counter_of(storage_recoveries, {{"file", "history"}});
  prometheus::Counter& starved = counter_of(storage_starved);
  prometheus::Histogram& ledger_commit = histogram_of(storage_commit, commit_buckets, {{"file", "ledger"}});
  prometheus::Histogram& history_commit = histogram_of(storage_commit, commit_buckets, {{"file", "history"}});
  prometheus::Gauge& commit_pending = gauge_of(storage_pending);
  prometheus::Gauge& connections = gauge_of(http_connections);
  prometheus::Counter& accepted = counter_of(http_accepted);
  prometheus::Counter& evicted = counter_of(http_evicted);
  prometheus::Counter& requests = counter_of(http_requests);
  prometheus::Counter& refused = counter_of(http_refused);
  prometheus::Counter& delayed = counter_of(http_delayed);
  prometheus::Counter& timeouts = counter_of(http_timeouts);
  prometheus::Counter& handler_failures = counter_of(http_failures);
  // In the order of query_codes:
  std::vector<prometheus::Counter*> answered = counters_of(queries, "code", query_codes);
  prometheus::Gauge& scrape_bytes = gauge_of(scrape_size);
  prometheus::Histogram& render = histogram_of(scrape_duration, render_buckets);
  prometheus::Histogram& late = histogram_of(sampling_lateness, lateness_buckets);
  prometheus::Gauge& fresh = gauge_of(series_fresh);
  prometheus::Counter& unidentified = counter_of(series_refused);
  prometheus::Counter& gone_totals = counter_of(totals_expired);
  prometheus::Counter& unlogged = counter_of(log_lines_dropped);
  prometheus::Counter& cpu = counter_of(process_cpu);
  prometheus::Gauge& resident = gauge_of(process_resident);
  prometheus::Gauge& virtual_memory = gauge_of(process_virtual);
  prometheus::Gauge& descriptors = gauge_of(process_fds);
  prometheus::Gauge& descriptors_max = gauge_of(process_max_fds);
  prometheus::Gauge& start = gauge_of(process_start);
  // Created with their first value, because a 0 would be wrong: an empty history has no oldest sample.
  prometheus::Gauge* size = nullptr;
  prometheus::Gauge* stored_series = nullptr;
  prometheus::Gauge* oldest = nullptr;
  std::array<prometheus::Gauge*, 3> reach{};
  prometheus::Counter* energy = nullptr;
  double cpu_before = 0;
};

Instruments::Instruments(const BuildInfo& build) : families_(std::make_unique<Families>()) {
  families_
      ->gauge_of(build_info, {{"version", build.version},
                              {"revision", build.revision},
                              {"branch", build.branch},
                              {"compiler", build.compiler}})
      .Set(1);
  families_->start.Set(static_cast<double>(std::time(nullptr)));
}

Instruments::~Instruments() = default;

std::span<const Metric* const> Instruments::metrics() {
  return all_metrics;
}

bool Instruments::is_histogram(const Metric& metric) {
  return &metric == &storage_commit || &metric == &scrape_duration || &metric == &sampling_lateness;
}

void Instruments::storage(const storage::Report& report) {
  Families& all = *families_;
  all.appended.Increment(static_cast<double>(report.appended_samples));
  all.dropped.Increment(static_cast<double>(report.dropped_samples));
  all.ledger_commit.Observe(report.ledger_seconds);
  if (!report.ledger_committed) all.ledger_failures.Increment();
  if (report.history_failed) all.history_failures.Increment();
  all.ledger_recoveries.Increment(static_cast<double>(report.ledger_recoveries));
  all.history_recoveries.Increment(static_cast<double>(report.history_recoveries));
  all.starved.Increment(static_cast<double>(report.starved_checkpoints));
  if (report.history_attempted) all.history_commit.Observe(report.history_seconds);
  if (!report.history_committed) return;
  all.refused_samples.Increment(static_cast<double>(report.refused_samples));
  all.expired.Increment(static_cast<double>(report.expired_samples));
  all.undecodable.Increment(static_cast<double>(report.undecodable));
  if (all.size == nullptr) all.size = &all.gauge_of(storage_size);
  if (all.stored_series == nullptr) all.stored_series = &all.gauge_of(storage_series);
  all.size->Set(static_cast<double>(report.size.bytes));
  all.stored_series->Set(static_cast<double>(report.size.series));
  reach(report.size);
  if (report.size.oldest_ms == 0) return;
  if (all.oldest == nullptr) all.oldest = &all.gauge_of(storage_oldest);
  all.oldest->Set(static_cast<double>(report.size.oldest_ms) / 1000);
}

void Instruments::commit_pending(double seconds) {
  families_->commit_pending.Set(seconds);
}

void Instruments::reach(const storage::StoreSize& size) {
  if (!size.reach_ms) return;
  constexpr std::array names = {"raw", "minute", "hour"};
  for (std::size_t n = 0; n < names.size(); ++n) {
    const std::int64_t span_ms = (*size.reach_ms)[n];
    prometheus::Gauge*& gauge = families_->reach[n];
    if (gauge == nullptr) gauge = &families_->gauge_of(storage_reach, {{"resolution", names[n]}});
    gauge->Set(span_ms > 0 ? static_cast<double>(span_ms) / 1000 : std::numeric_limits<double>::infinity());
  }
}

void Instruments::http(const http::Stats& stats) {
  Families& all = *families_;
  all.connections.Set(static_cast<double>(stats.connections_open));
  follow(all.accepted, static_cast<double>(stats.connections_accepted));
  follow(all.evicted, static_cast<double>(stats.connections_evicted));
  follow(all.requests, static_cast<double>(stats.requests));
  follow(all.refused, static_cast<double>(stats.requests_refused));
  follow(all.delayed, static_cast<double>(stats.requests_delayed));
  follow(all.timeouts, static_cast<double>(stats.timeouts));
  follow(all.handler_failures, static_cast<double>(stats.handler_failures));
}

void Instruments::scrape(std::size_t bytes, double seconds) {
  families_->scrape_bytes.Set(static_cast<double>(bytes));
  families_->render.Observe(seconds);
}

void Instruments::query(unsigned status) {
  const auto* const code = std::find(query_codes.begin(), query_codes.end(), status);
  if (code != query_codes.end()) families_->answered[static_cast<std::size_t>(code - query_codes.begin())]->Increment();
}

void Instruments::lateness(double seconds) {
  families_->late.Observe(std::max(seconds, 0.0));
}

void Instruments::reload(bool successful, double epoch_seconds) {
  families_->reload_ok.Set(successful ? 1 : 0);
  if (successful) families_->reload_time.Set(epoch_seconds);
}

void Instruments::series(std::size_t fresh, std::uint64_t refused) {
  families_->fresh.Set(static_cast<double>(fresh));
  follow(families_->unidentified, static_cast<double>(refused));
}

void Instruments::log_dropped(std::uint64_t lines) {
  follow(families_->unlogged, static_cast<double>(lines));
}

void Instruments::expired_totals(std::uint64_t count) {
  follow(families_->gone_totals, static_cast<double>(count));
}

void Instruments::process(double watts_per_busy_cpu) {
  Families& all = *families_;
  const double cpu = process_cpu_seconds();
  follow(all.cpu, cpu);
  if (watts_per_busy_cpu > 0) {
    if (all.energy == nullptr) all.energy = &all.counter_of(self_energy);
    all.energy->Increment((cpu - all.cpu_before) * watts_per_busy_cpu);
  }
  all.cpu_before = cpu;
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  if (statm >> pages >> resident) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    all.virtual_memory.Set(pages * page);
    all.resident.Set(resident * page);
  }
  if (const std::size_t open = open_descriptors(); open > 0) all.descriptors.Set(static_cast<double>(open));
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) all.descriptors_max.Set(static_cast<double>(limit.rlim_cur));
}

void Instruments::write(std::string& out, Format format, const Latest::Admit& admit) const {
  const std::lock_guard lock(families_->mutex);
  append_all(out, format, admit, families_->counters);
  append_all(out, format, admit, families_->gauges);
  append_all(out, format, admit, families_->histograms);
}

void Instruments::visit(const Latest::Each& each) const {
  const std::lock_guard lock(families_->mutex);
  const auto visit_all = [&each](const auto& shown) {
    for (const auto& one : shown) {
      std::string_view labels = one.labels;
      if (!labels.empty()) labels = labels.substr(1, labels.size() - 2);
      each(*one.metric, labels, one.instrument->Value());
    }
  };
  visit_all(families_->counters);
  visit_all(families_->gauges);
}

void Instruments::visit_histograms(const Latest::Each& each) const {
  const std::lock_guard lock(families_->mutex);
  for (const auto& histogram : families_->histograms)
    visit_parts(histogram, each);
}

}  // namespace perjoule
