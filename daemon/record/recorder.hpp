// THE PATH: what a probe sampled goes through here, and nothing else writes to Latest or to the store.
//
//   identify -> ledger -> derived rows -> Latest -> sink
//
// Persisted counters enter Latest only when the ledger that holds them has been committed, so that a crash never takes
// back what a scrape has shown. Without a sink (--no-storage, `once`) they enter at once. Loop's thread only.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
  std::string source;
  std::string device;
  std::int64_t period_ns = 0;
  std::int64_t stale_after_ns = 0;
};

class Recorder {
 public:
  // `sink` may be null: nothing is kept. `latest`, `ledger` and `sink` outlive the recorder. `rows` run after each
  // batch in their order.
  Recorder(Latest& latest, Ledger& ledger, storage::Sink* sink, Rows rows, std::size_t series_max = 20'000);

  [[nodiscard]] ProbeId open_probe(ProbeInfo info);
  // Takes the probe's series out of Latest.
  void close_probe(ProbeId probe);
  // What the derived rows need to know, at the start and after a reload.
  void configure(const config::Efficiency& settings);

  struct Accepted {
    std::uint64_t samples = 0;
    std::uint64_t refused = 0;  // readings that were not finite, not plausible, or beyond the bound of series
    std::uint64_t resets = 0;   // counters that restarted or jumped
  };
  Accepted accept(ProbeId probe, const Batch& batch, const Stamp& stamp);

  // Commits the ledger, with `history` the samples too. One commit is in flight at a time: while the disk is slow the
  // next one waits for the next call. When the disk refuses, the shown
  // totals of live sources stay as they are, and fresh.
  using OnReport = std::function<void(const storage::Report&)>;
  void commit(bool history, const OnReport& on_report = {});
  [[nodiscard]] bool committing() const { return committing_; }
  // At the end: everything, also while a commit is in flight. Nobody hears of its outcome but the sink.
  void commit_last();

  [[nodiscard]] SeriesTable& series() { return series_; }
  // Called whenever Latest has something new.
  void on_change(std::function<void()> change) { on_change_ = std::move(change); }

 private:
  // A persisted series and the ledger entry behind it.
  struct Persisted {
    SeriesId series{};
    EntryId entry{};
  };
  static constexpr std::size_t rows_max = 16;
  using RowSet = std::bitset<rows_max>;
  class Deriving;
  // A total, and behind it what its device booked under other sources: those counters stay when the source changes.
  using Totals = std::vector<Persisted>;
  // What one reading of a probe resolved to; a steady probe finds it at the same place at every tick.
  struct Resolved {
    const Metric* metric = nullptr;
    std::string identity;  // label values and device, as the batch holds them
    std::optional<SeriesId> series;
    std::optional<SeriesId> rate;
    const Totals* total = nullptr;
    const Totals* by_source = nullptr;
    const Totals* unobserved = nullptr;
    RowSet observers;
  };
  struct Pending {
    std::int64_t steady_ns = 0;
    std::int64_t stale_after_ns = 0;
    std::vector<Sample> samples;
  };
  struct ProbeState {
    ProbeInfo info;
    std::vector<Resolved> readings;
    std::vector<SeriesId> shown;  // every series it has shown, for close_probe()
    bool open = false;
  };

  const Resolved& resolve(ProbeState& probe, std::size_t position, const Batch& batch, const Reading& reading);
  // Null beyond the bound of series. The pointer stays good: the map never loses an element.
  const Totals* totals(const Metric& metric, std::string_view values);
  void accept_value(const ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                    const Stamp& stamp, Accepted& accepted);
  void accept_energy(ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                     const Stamp& stamp, Accepted& accepted);
  void observe(RowSet observers, const Observation& observation);
  void derive(ProbeState& probe, const Stamp& stamp);
  [[nodiscard]] RowSet observers(const Metric& metric, std::size_t behind) const;
  void show(ProbeState& probe, SeriesId id);
  void collect_totals();
  // Two readings of one series in a batch (a driver's mistake): the first one counts, for the ledger too.
  [[nodiscard]] bool is_repeated(SeriesId id);
  void publish(const ProbeState& probe, const Stamp& stamp);
  void finish_commit(const storage::Report& report, const OnReport& on_report);

  Latest& latest_;
  Ledger& ledger_;
  storage::Sink* sink_;
  SeriesTable series_;
  Rows rows_;
  std::vector<ProbeState> probes_;
  std::vector<Sample> plain_;             // of the batch in hand: shown at once
  std::vector<const Totals*> emitted_;    // by the batch in hand
  std::vector<Sample> persisted_;         // of the batch in hand: shown once committed
  std::map<ProbeId, Pending> pending_;    // newest persisted samples per probe, not yet in a commit
  std::map<ProbeId, Pending> in_flight_;  // in the commit that is under way
  std::map<std::string, Totals, std::less<>> totals_;
  ProbeId current_{};
  std::vector<std::uint64_t> seen_;  // by series: the pass that met it last
  std::uint64_t passes_ = 0;         // over the readings of a batch, then over its samples
  std::uint64_t generation_ = 0;
  bool committing_ = false;
  std::function<void()> on_change_;
};

}  // namespace perjoule
