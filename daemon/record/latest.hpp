// The newest sample of every series, and the text that a scrape shows of it.
//
// Guarded by one mutex: the loop writes, the web thread reads. A series that is older than its `stale_after` is left
// out when it is read, so a device that is gone is absent and nothing old is shown as new. Each series keeps its text
// up to the value (`name{labels} `) from the moment it is declared: a scrape is a copy and the digits of a number.
#pragma once

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

// HELP, TYPE and UNIT of a family. For OpenMetrics a counter's family is named without _total, an info without _info.
[[nodiscard]] std::string family_header(const Metric& metric, Format format);

class Latest {
 public:
  static constexpr std::int64_t never_stale = std::numeric_limits<std::int64_t>::max();

  void declare(SeriesId id, const Metric& metric, std::string_view labels);
  void set(std::span<const Sample> samples, std::int64_t steady_ns, std::int64_t stale_after_ns);
  // The source is alive but its value could not be made safe: what was shown before stays current.
  void touch(std::span<const Sample> samples, std::int64_t steady_ns);
  // Takes a series out until it is set again.
  void remove(SeriesId id);
  void remove(std::span<const SeriesId> ids);

  // Appends every fresh series of the admitted families, sorted by family name.
  using Admit = std::function<bool(const Metric&)>;
  void write(std::string& out, Format format, std::int64_t now_ns, const Admit& admit = {}) const;
  // A fresh value of a series.
  [[nodiscard]] std::optional<double> value(SeriesId id, std::int64_t now_ns) const;
  [[nodiscard]] std::size_t fresh(std::int64_t now_ns) const;
  // The last that was set of each of `ids`, in their order, also where it is not fresh any more.
  struct Newest {
    double value = 0;
    std::int64_t steady_ns = 0;
    bool fresh = false;
  };
  void newest(std::span<const SeriesId> ids, std::int64_t now_ns, std::vector<Newest>& out) const;
  // Calls `each` for every fresh series in the order of write().
  using Each = std::function<void(const Metric&, std::string_view labels, double value)>;
  void visit(std::int64_t now_ns, const Each& each) const;

 private:
  struct Slot {
    double value = 0;
    std::int64_t steady_ns = 0;
    std::int64_t stale_after_ns = -1;  // -1: not set
  };
  struct Line {
    std::uint32_t slot = 0;
    std::uint32_t begin = 0;  // of its `name{labels} ` in the family's prefixes
    std::uint32_t size = 0;
  };
  struct Family {
    const Metric* metric = nullptr;
    std::string text_header;
    std::string openmetrics_header;
    std::string prefixes;  // one behind the other in the order of writing: a scrape finds memory cold and reads it once
    std::vector<Line> lines;
    [[nodiscard]] std::string_view prefix(const Line& line) const {
      return std::string_view(prefixes).substr(line.begin, line.size);
    }
  };
  [[nodiscard]] static bool is_fresh(const Slot& slot, std::int64_t now_ns) {
    return slot.stale_after_ns >= 0 && now_ns - slot.steady_ns <= slot.stale_after_ns;
  }

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;  // by SeriesId
  std::map<std::string_view, Family> families_;
};

}  // namespace perjoule
