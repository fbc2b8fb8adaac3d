// What the daemon asks of its history. The writer thread owns a Store; nobody else calls it.
//
// A *group* is what one probe samples together: one stamp for all its series. The daemon names series and groups by
// small numbers that live as long as the process; a Store maps them to identities that live as long as the file.
#pragma once

#include <array>
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
  std::string labels;  // `a="b",c="d"`, exposition escaping, declaration order; "" without labels
  Unit unit = Unit::none;
  Kind kind = Kind::gauge;
  double step = 0;  // values are stored to multiples of it, the nearest; 0: bit for bit
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

// Everything between two commits. A description comes before, or with, the first tick that uses it.
struct Frame {
  std::vector<SeriesDescription> series;
  std::vector<GroupDescription> groups;
  std::vector<Tick> ticks;
};

// What `read` hands over: stamps ascend within a series; series come one after the other.
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

// Raw samples, minutes, hours.
template <class T>
using PerResolution = std::array<T, 3>;

// How long each resolution is kept, counted back from the newest stamp that is believed
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
  std::uint64_t refused_samples = 0;  // late, out of order
  std::uint64_t expired_samples = 0;  // raw ones that retention dropped
  std::uint64_t undecodable = 0;      // frames that were found damaged when their slot was sealed
  // How far back each resolution reaches at the present rate, by the policy of the last `retain`; empty before the rate
  // is known, 0 without a limit.
  std::optional<PerResolution<std::int64_t>> reach_ms;
};

class Store {
 public:
  virtual ~Store() = default;
  // One transaction; on an error nothing of the frame is stored, and the caller may offer it again. Ticks of a group
  // come in the order of their stamps: one that is late is refused and counted, but when the clock went back by more
  // than a minute, time begins anew there.
  [[nodiscard]] virtual Result<void> append(const Frame& frame) = 0;
  // Makes chunks and roll-ups of what is old enough, measured by the newest sample; one transaction, a few groups of
  // one slot. True: more is to do.
  [[nodiscard]] virtual Result<bool> seal() = 0;
  // Drops the oldest of what is sealed; one transaction, a slot or a few. True: more is to do.
  [[nodiscard]] virtual Result<bool> retain(const RetentionPolicy& policy) = 0;
  [[nodiscard]] virtual Result<StoreSize> size() = 0;
  // Calls `each` for every selected series with its points in time order; stops early when it returns false.
  using Each = std::function<bool(const SeriesDescription&, const std::vector<Point>&)>;
  [[nodiscard]] virtual Result<void> read(const Selection& selection, const Each& each) = 0;
};

}  // namespace perjoule::storage
