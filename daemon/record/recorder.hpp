// THE PATH: every sample goes through the recorder, into Latest and into the history. Nothing else writes to either.
// Samples come from probes, from what is derived of them, and from the daemon itself (show_own, keep_own). Loop's
// thread only.
//
//   accept(batch)          one tick of a probe
//     |
//     1 resolve      metric, label values -> series and ledger entries (cached by the position in the batch)
//     |
//     2 read         value                -> plain_
//     |              raw counter or power -> ledger;  its totals -> emitted_;  its rate -> plain_
//     |              every reading        -> observe() of the rows that have its family as an input
//     |
//     3 derive       each row, in order:  show() -> plain_
//     |                                   book() -> ledger;  the total -> emitted_;  observe() of the later rows
//     |
//     4 collect      emitted_             -> persisted_, each total once, with its value in the ledger now
//     |
//     5 publish      plain_               -> Latest
//     |              persisted_           -> pending_[probe]    (without a sink: -> Latest)
//     |              both                 -> sink.push(), a tick of the history
//     |
//   commit()         pending_ -> in_flight_;  changed ledger rows -> sink.commit()     once per second
//     |
//   finish_commit()  ledger on disk:  in_flight_ -> Latest
//                    commit failed:   in_flight_ -> pending_;  the totals in Latest stay as they are, for 30 s
//
// A persisted total is therefore shown only after the ledger on disk holds at least its value. Otherwise a crash could
// take back what a scrape has shown: Prometheus would see the counter fall, take that for a reset, and add the whole
// counter again. Without a sink (--no-storage, `once`) nothing survives the process, so totals are shown at once.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "collectors/batch.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"
#include "daemon/record/series.hpp"
#include "storage/sink.hpp"

namespace perjoule {

enum class ProbeId : std::uint32_t {};

struct ProbeInfo {
  std::string source;  // name of the collector
  std::string device;
  std::int64_t period_ns = 0;
  std::int64_t stale_after_ns = 0;
};

class Recorder {
 public:
  // `sink` may be null: nothing is stored. `latest`, `ledger` and `sink` outlive the recorder. `rows` run after each
  // batch, in their order; more than 16 are a programming error (std::length_error).
  Recorder(Latest& latest, Ledger& ledger, storage::Sink* sink, Rows rows, SeriesLimits limits = {});

  // A device of a source that was closed and comes back within an hour has its id again, so that the groups of the
  // history do not grow with a device that comes and goes.
  [[nodiscard]] ProbeId open_probe(ProbeInfo info);
  // Removes from Latest what the probe has shown, and forgets its totals that are not shown yet. Their ledger entries
  // stay. Later batches of this probe are ignored.
  void close_probe(ProbeId probe);
  // The settings of the derived rows, at the start and after a reload.
  void configure(const config::Efficiency& settings);
  // For the rows (row.hpp): whether every source has had its first call, and what an operator should know.
  void settle(bool settled, const Stamp& now);
  [[nodiscard]] std::vector<std::string> notes(std::int64_t now_ns) const;

  struct Accepted {
    std::uint64_t samples = 0;
    std::uint64_t refused = 0;      // readings that were not finite, implausible, repeated, or over the limit of series
    std::uint64_t resets = 0;       // raw counters that restarted or jumped
    std::vector<ItemFault> faults;  // why meters were not believed (meter_gate.hpp): at most 16, counted as refused
  };
  // What accept() has to do for series that are new in the batch, in parts, so that no turn of the loop is long: about
  // `new_max` series are identified or dropped by one call. True: accept() has only known series now.
  [[nodiscard]] bool prepare(ProbeId probe, const Batch& batch, const Stamp& stamp, std::size_t new_max = 1'000);
  // All samples of the batch, also the derived ones, get the time of the reading.
  Accepted accept(ProbeId probe, const Batch& batch, const Stamp& stamp);

  // Commits the ledger and, if `history` is set, the samples pushed so far. One commit is in flight at a time: while it
  // is, a call does nothing. `on_report` gets the outcome, on the loop, after Latest has it.
  using OnReport = std::function<void(const storage::Report&)>;
  void commit(bool history, const OnReport& on_report = {});
  [[nodiscard]] bool committing() const { return committing_; }
  // The daemon's own series: states of sources, alerts. They are in Latest at once, and never become stale. The history
  // has them every 15 s (push_own), and those without a unit, which are states and counts, at each change, too.
  void show_own(std::span<const Sample> samples, const Stamp& now);
  void hide_own(std::span<const SeriesId> ids);
  // The same for the history alone: /metrics has these series from elsewhere (Instruments), or not at all (`up`).
  void keep_own(const Metric& metric, const std::string& labels, double value);
  // Sends the daemon's own series to the history: all of them, or those that have changed. Once per second.
  void push_own(const Stamp& now, bool all);

  // Writes the end mark of every series that has left Latest since the last call. Once per second.
  void end_series(const Stamp& now);
  // Totals whose labels the users choose: of these families at most `totals_max` stay in the ledger, those that were
  // read last, and none that was not read for `keep_ms` (0: no such limit).
  void bound_totals(Ledger::Expires families, std::int64_t keep_ms);
  static constexpr std::size_t totals_max = 20'000;
  [[nodiscard]] std::uint64_t expired_totals() const { return expired_totals_; }
  // Gives back the memory of what was last used an hour ago: series with their totals, and closed probes. Their rows in
  // the ledger stay, and a series that comes back goes on in the history. Once per minute.
  void drop_unused(const Stamp& now);
  static constexpr std::int64_t unused_max_ns = 3'600'000'000'000;
  static constexpr std::int64_t own_period_ns = 15'000'000'000;
  // At the stop: ends every series and commits everything, also while a commit is in flight. Its outcome is not
  // reported, because the loop no longer runs; the sink's own stop waits for it.
  void commit_last(const Stamp& now);

  [[nodiscard]] SeriesTable& series() { return series_; }
  // `change` is called after each batch and each commit, when Latest may have new values.
  void on_change(std::function<void()> change) { on_change_ = std::move(change); }

 private:
  // A persisted series and the ledger entry that holds its total.
  struct Persisted {
    SeriesId series{};
    EntryId entry{};
  };
  static constexpr std::size_t rows_max = 16;
  using RowSet = std::bitset<rows_max>;
  class Deriving;
  // The totals of a metric whose labels are equal but for the label `source`. A device whose energy was integrated
  // before its hardware counter became readable has two. All of them are emitted when one is booked on, so that no
  // counter disappears, and no sum over sources falls, when the source changes.
  using Siblings = std::vector<Persisted>;
  struct Totals {
    Persisted own;                 // the total that is booked on
    Siblings* siblings = nullptr;  // with `own` among them
  };
  // What one reading of a probe resolved to. A steady probe has the same reading at the same position of every batch,
  // and then resolving is one comparison of `metric` and `identity`.
  struct Resolved {
    const Metric* metric = nullptr;
    std::string identity;                // label values and device, as the batch holds them
    std::optional<SeriesId> series;      // of a plain value
    std::optional<SeriesId> rate;        // of the power shown beside an energy; none without Reading::rate
    const Totals* total = nullptr;       // of a meter or an integral: the total itself
    const Totals* by_source = nullptr;   // its energy by source; joules only
    const Totals* unobserved = nullptr;  // its unobserved seconds; joules only
    RowSet observers;                    // the rows that observe `metric`
  };
  // The totals of a probe's batches since the last commit, each with its newest value, and the newest batch's time.
  struct Pending {
    std::int64_t steady_ns = 0;
    std::int64_t stale_after_ns = 0;
    std::vector<Sample> samples;
  };
  struct ProbeState {
    ProbeInfo info;
    std::vector<Resolved> readings;  // by position in the batch
    std::set<SeriesId> shown;        // every series it has shown, for close_probe()
    void show(SeriesId id) { shown.insert(id); }
    void show(const Totals& totals);
    bool open = false;
    std::int64_t used_ns = 0;          // its last batch; or when it was opened or closed
    std::int64_t before_ns = 0;        // the batch before that
    std::size_t prepared = 0;          // readings of the next batch that prepare() has resolved
    std::uint64_t prepared_drops = 0;  // drops_ when it began
    bool makes_room = false;           // prepare() has begun to drop series
  };

  void begin(ProbeId probe, const ProbeState& state, const Stamp& stamp);
  const Resolved& resolve(ProbeState& probe, std::size_t position, const Batch& batch, const Reading& reading);
  // Null if a limit of series is reached. Pointers stay valid until the total's series is dropped.
  const Totals* totals(const Metric& metric, std::string_view values);
  Siblings* siblings(const Metric& metric, std::string_view values, const Persisted& own);
  void show_as(const Totals& totals);
  // The total of the energy of the reading's device that became known in this way.
  const Totals* by_source(const Batch& batch, const Reading& reading, Origin origin);
  const Totals* unobserved(const Batch& batch, const Reading& reading);
  void remember_sources();
  // Drops at most `drop_max` series, of any source, that its last two batches did not have; false: there are more.
  [[nodiscard]] bool make_room(std::size_t drop_max);
  void drop(std::unordered_set<SeriesId> ids, const Stamp& now);
  void expire_totals(const Stamp& now);
  // Adds the siblings of totals to `ids`. What it returns is only for comparing: it is gone.
  std::unordered_set<const Totals*> drop_totals(std::unordered_set<SeriesId>& ids);
  void accept_value(const ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                    const Stamp& stamp, Accepted& accepted);
  void accept_energy(ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                     const Stamp& stamp, Accepted& accepted);
  // The mean power since the last reading, if it is known; else the series of the power ends at once.
  [[nodiscard]] std::optional<double> rate_of(const Resolved& resolved, const Reading& reading,
                                              const Ledger::Booking& booking);
  void observe(RowSet observers, const Observation& observation);
  void derive(ProbeState& probe, const Stamp& stamp);
  // The rows (row.hpp) that have `metric` among their inputs, without those before index `first`.
  [[nodiscard]] RowSet observers(const Metric& metric, std::size_t first) const;
  void collect_totals();
  // Whether the current pass (see seen_) has already had this series. If a batch has two readings of one series (a
  // driver's mistake), only the first counts, in the ledger too.
  [[nodiscard]] bool is_repeated(SeriesId id);
  void publish(const ProbeState& probe, const Stamp& stamp);
  void push_ends(std::vector<SeriesId> ended, const Stamp& now);
  void restore(ProbeId probe, Pending failed);
  void finish_commit(const storage::Report& report, const OnReport& on_report);

  Latest& latest_;
  Ledger& ledger_;
  storage::Sink* sink_;
  SeriesTable series_;
  Rows rows_;
  std::unordered_map<ProbeId, ProbeState> probes_;
  std::uint32_t next_probe_ = 0;
  // During one accept():
  ProbeId current_{};                   // whose batch it is
  std::string_view source_;             // its source, on whose budget new series count
  Stamp now_{};                         // the time of the reading
  std::vector<Sample> plain_;           // samples to show at once
  std::vector<const Totals*> emitted_;  // totals that the batch or a row booked on; may repeat
  std::vector<Sample> persisted_;       // emitted_ as samples, each once; shown after a commit
  // From a batch to the end of the commit that includes it:
  std::map<ProbeId, Pending> pending_;    // per probe, until commit() takes them
  std::map<ProbeId, Pending> in_flight_;  // those of the commit under way, until finish_commit()
  // Until the series is dropped:
  std::map<std::string, Totals, std::less<>> totals_;  // by metric name, NUL, label values
  // By the total's key without the label `source`, so that the work for a new total does not depend on their number:
  // one file of site data may bring 10,000.
  std::unordered_map<std::string, Siblings> siblings_;
  // The keys of the ledger's totals that have a label `source` and no series, by the same key.
  std::unordered_map<std::string, std::vector<std::string>> kept_;
  std::map<std::pair<std::string, std::string>, ProbeId> ids_;  // by source and device
  std::uint64_t drops_ = 0;  // how often series were dropped: what was resolved before has to be looked up again
  // is_repeated(): accept() makes two passes over its series, first over the readings, then over the samples.
  std::uint64_t passes_ = 0;
  Ledger::Expires bounded_;  // which families bound_totals() is about
  std::int64_t keep_totals_ms_ = 0;
  std::size_t totals_checked_ = 0;  // size of the ledger when it was last bounded
  std::uint64_t expired_totals_ = 0;
  ProbeId ends_{};                        // the group of the end marks
  std::int64_t ends_ms_ = INT64_MIN / 2;  // wall clock of the newest ones
  ProbeId own_{};                         // the group of the daemon's own series
  struct OwnSample {
    double value = 0;
    bool shown = false;    // by show_own(): pushed every 15 s, and not only when it was given
    bool prompt = false;   // a change is stored at once
    bool changed = false;  // given, or changed, since the last push
  };
  std::map<SeriesId, OwnSample> own_samples_;
  std::uint64_t generation_ = 0;  // number of the last commit
  bool committing_ = false;
  std::function<void()> on_change_;
};

}  // namespace perjoule
