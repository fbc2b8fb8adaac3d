// The newest sample of every series, and the exposition text of a scrape.
//
// Any thread: one mutex guards everything. The loop writes; the loop and the web thread read. A series older than its
// `stale_after` is left out of every answer, so that a device that is gone is absent and no old value is shown as
// current. The line of a series up to the value (`name{labels} `) is built once, when the series is declared; a scrape
// copies it and appends the number. Lines of a family are in the order of their labels, numbers in them by value, so
// that gpu="10" comes after gpu="2". Times are of the steady clock, in nanoseconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "collectors/metric.hpp"
#include "collectors/sample.hpp"

namespace perjoule {

enum class Format : std::uint8_t { text, openmetrics };  // text 0.0.4, OpenMetrics 1.0

// The lines HELP, TYPE and UNIT of a family. In OpenMetrics the family of a counter is named without _total, that of an
// info metric without _info.
[[nodiscard]] std::string family_header(const Metric& metric, Format format);

class Latest {
 public:
  static constexpr std::int64_t never_stale = std::numeric_limits<std::int64_t>::max();

  // Before the first set() of a series, once. `labels`: label_text().
  void declare(SeriesId id, const Metric& metric, std::string_view labels);
  void set(std::span<const Sample> samples, std::int64_t steady_ns, std::int64_t stale_after_ns);
  // The series were read, but their new values may not be shown yet, because they are not on disk. Keeps the values
  // shown before, for `unstored_max_ns` or stale_after at most: then the totals are absent, so that a disk that does
  // not answer never makes a flat line, which would be a power of 0 W.
  void read(std::span<const Sample> samples, std::int64_t steady_ns);
  static constexpr std::int64_t unstored_max_ns = 30'000'000'000;
  // Hides a series until it is set again.
  void remove(SeriesId id);
  void remove(std::span<const SeriesId> ids);
  // Gives back the memory of these series. They may be declared again with another id. Returns those that had not ended
  // (take_open()).
  std::vector<SeriesId> forget(const std::unordered_set<SeriesId>& ids);

  // Appends every fresh series of the families that `admit` accepts (without it: all), sorted by family name.
  using Admit = std::function<bool(const Metric&)>;
  void write(std::string& out, Format format, std::int64_t now_ns, const Admit& admit = {}) const;
  // Nothing if the series is not fresh.
  [[nodiscard]] std::optional<double> value(SeriesId id, std::int64_t now_ns) const;
  // The series that write() no longer shows, and showed at the last call or since: stale, or removed. Each once.
  [[nodiscard]] std::vector<SeriesId> take_ended(std::int64_t now_ns);
  // At the stop: every series that was set or read and that take_ended() has not passed since.
  [[nodiscard]] std::vector<SeriesId> take_open();
  // The number of fresh series.
  [[nodiscard]] std::size_t fresh(std::int64_t now_ns) const;
  // The last value of each of `ids`, in their order, also of those that are no longer fresh. A series that was
  // forgotten has none.
  struct Newest {
    double value = 0;
    std::int64_t steady_ns = 0;  // of the value
    std::int64_t read_ns = 0;    // of the last reading, whose value may wait for its commit
    bool fresh = false;
    bool forgotten = false;
  };
  void newest(std::span<const SeriesId> ids, std::int64_t now_ns, std::vector<Newest>& out) const;
  // Calls `each` for every fresh series, in the order of write(), while holding the mutex: `each` must not call back.
  using Each = std::function<void(const Metric&, std::string_view labels, double value)>;
  void visit(std::int64_t now_ns, const Each& each) const;

 private:
  static constexpr SeriesId none{UINT64_MAX};
  struct Slot {
    SeriesId id = none;
    double value = 0;
    std::int64_t steady_ns = 0;
    std::int64_t read_ns = 0;
    std::int64_t stale_after_ns = -1;  // -1: never set, or removed
    bool shown = false;                // it was set, and take_ended() has not passed it since
    bool open = false;                 // the same, but it may only have been read
  };
  struct Line {
    SeriesId id{};
    std::uint32_t begin = 0;  // of its `name{labels} ` in the family's prefixes
    std::uint32_t size = 0;
  };
  struct Family {
    const Metric* metric = nullptr;
    std::string text_header;
    std::string openmetrics_header;
    // All prefixes in the order of writing, without gaps: a scrape finds the memory uncached and reads it once.
    std::string prefixes;
    std::vector<Line> lines;
    std::size_t sorted = 0;  // so many lines are in their order; new ones are behind them until the next write()
    [[nodiscard]] std::string_view prefix(const Line& line) const {
      return std::string_view(prefixes).substr(line.begin, line.size);
    }
    void pack();  // without gaps, in the order of the lines
  };
  [[nodiscard]] static bool is_fresh(const Slot& slot, std::int64_t now_ns) {
    return slot.stale_after_ns >= 0 && now_ns - slot.read_ns <= slot.stale_after_ns &&
           now_ns - slot.steady_ns <= std::max(slot.stale_after_ns, unstored_max_ns);
  }

  template <class Ends>
  [[nodiscard]] std::vector<SeriesId> take(const Ends& ends);

  static void arrange(Family& family);

  // Null: it was forgotten. slot(): it is declared, and was not.
  [[nodiscard]] const Slot* find(SeriesId id) const;
  [[nodiscard]] Slot& slot(SeriesId id);

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;                              // by place_of(); those of no series have no id
  mutable std::map<std::string_view, Family> families_;  // write() arranges what was declared since
};

}  // namespace perjoule
