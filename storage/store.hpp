// The interface of the history. The writer thread owns the daemon's Store, and no other thread calls it.
//
// A *group* is the set of series that one probe samples together, with one timestamp for all. The daemon identifies
// series and groups by small numbers that are valid for the life of the process; a Store maps them to identities that
// are valid for the life of the file. All times are wall clock, milliseconds since the epoch.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/labels.hpp"
#include "collectors/metric.hpp"
#include "collectors/result.hpp"
#include "collectors/sample.hpp"

namespace perjoule::storage {

enum class GroupId : std::uint32_t {};

struct SeriesDescription {
  SeriesId id{};
  std::string metric;
  std::string labels;  // `a="b",c="d"` with exposition escaping, in declaration order; "" without labels
  Unit unit = Unit::none;
  Kind kind = Kind::gauge;
  double step = 0;  // values are rounded to the nearest multiple of it before they are stored; 0: bit for bit
};

struct GroupDescription {
  GroupId id{};
  std::string source;  // collector's name
  std::string device;
  std::int64_t period_ms = 0;
};

// One tick of one probe.
struct Tick {
  GroupId group{};
  std::int64_t wall_ms = 0;
  std::vector<Sample> samples;
};

// Everything between two commits. A series or group is described before, or in the same frame as, its first tick.
struct Frame {
  std::vector<SeriesDescription> series;
  std::vector<GroupDescription> groups;
  std::vector<Tick> ticks;
  // Not in any later tick: what is known of them in memory is dropped when the frame is stored.
  std::vector<SeriesId> forgotten_series = {};
  std::vector<GroupId> forgotten_groups = {};
};

// The value of a sample that ends its series: the series was shown until then, and is absent from there to its next
// sample. It is Prometheus' staleness marker (model/value/value.go), a NaN that no arithmetic produces. Compare its
// bits, because a NaN equals nothing. It is a signalling NaN: an operation on it, even a multiplication by 1, changes
// its bits.
inline constexpr std::uint64_t end_mark_bits = 0x7ff0'0000'0000'0002;
inline constexpr double end_mark = std::bit_cast<double>(end_mark_bits);
constexpr bool is_end_mark(double value) {
  return std::bit_cast<std::uint64_t>(value) == end_mark_bits;
}

// End marks have a group of their own, because a series ends when its probe is silent, and a probe that was stuck may
// still bring a sample that is older than the mark.
inline constexpr std::string_view ends_source = "perjouled";
inline constexpr std::string_view ends_device = "ends";

// A stored sample. `read` passes each series as a whole, with ascending timestamps.
struct Point {
  std::int64_t wall_ms = 0;
  double value = 0;
};

struct Selection {
  std::int64_t from_ms = 0;        // inclusive
  std::int64_t to_ms = INT64_MAX;  // inclusive
  std::string metric;              // "" = all
  Labels labels;                   // all must equal
};

// Indexed by resolution: raw samples, minute roll-ups, hour roll-ups.
template <class T>
using PerResolution = std::array<T, 3>;

// How long each resolution is kept, counted back from the newest trusted timestamp
// (storage/history/believed_clock.hpp), and how large history.db and its write-ahead log may grow. 0: no limit.
struct RetentionPolicy {
  std::int64_t raw_ms = 0;
  std::int64_t minute_ms = 0;
  std::int64_t hour_ms = 0;
  std::int64_t bytes_max = 0;
};

struct StoreSize {
  std::int64_t bytes = 0;  // database and WAL on disk
  std::int64_t series = 0;
  std::int64_t oldest_ms = 0;  // 0: nothing stored
  std::int64_t tail_rows = 0;
  // Since the store was opened.
  std::uint64_t refused_samples = 0;  // late or out of order
  std::uint64_t expired_samples = 0;  // raw samples dropped by retention
  std::uint64_t undecodable = 0;      // tail rows found damaged when their slot was sealed
  // How far back each resolution reaches at the present data rate under the policy of the last `retain`; nullopt until
  // the rate is known, 0 without a limit.
  std::optional<PerResolution<std::int64_t>> reach_ms;
};

// What happened to the file of a Store.
struct StoreNews {
  std::vector<std::string> lines;         // for the log
  std::uint64_t recoveries = 0;           // times that others wrote to it, or save() was done
  std::uint64_t starved_checkpoints = 0;  // times that a reader kept the WAL from being emptied for a minute
};

class Store {
 public:
  virtual ~Store() = default;
  // One transaction; on an error nothing of the frame is stored and the caller may retry it. Ticks of a group come in
  // the order of their timestamps. A tick up to a minute behind the newest one is refused and counted; one further back
  // means that the clock was set back, and it is stored as the start of a new sequence.
  [[nodiscard]] virtual Result<void> append(const Frame& frame) = 0;
  // Ends every series that the previous run of the daemon may have left open, because it was killed, right after the
  // newest stored sample.
  [[nodiscard]] virtual Result<void> end_previous_run() = 0;
  // Turns samples that are old enough (measured from the newest sample) into chunks and roll-ups; one transaction for
  // a few groups of one slot. True: call it again, more is due.
  [[nodiscard]] virtual Result<bool> seal() = 0;
  // Drops the oldest sealed slots that the policy no longer allows; one transaction for a few slots. True: call it
  // again, more is due.
  [[nodiscard]] virtual Result<bool> retain(const RetentionPolicy& policy) = 0;
  [[nodiscard]] virtual Result<StoreSize> size() = 0;
  // Whether the file is still what was committed. False: others moved, replaced or damaged it, and what is appended
  // would be lost at the next start: save() it first. `thoroughly`: reads the whole file.
  [[nodiscard]] virtual bool look(bool thoroughly) = 0;
  // Puts what this store holds, committed and readable, into a file at its path. True: close the store and open it
  // again. False: other connections of this process are in use and must be closed first, `alone` says that they are.
  // After an error it may be called again.
  [[nodiscard]] virtual Result<bool> save(bool alone, std::int64_t now_ms) = 0;
  // What happened since the last call.
  [[nodiscard]] virtual StoreNews take_news() = 0;
  // Calls `each` for every selected series with its points in time order; stops when `each` returns false.
  using Each = std::function<bool(const SeriesDescription&, const std::vector<Point>&)>;
  [[nodiscard]] virtual Result<void> read(const Selection& selection, const Each& each) = 0;
};

}  // namespace perjoule::storage
