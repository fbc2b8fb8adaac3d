#include "storage/history/export.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "config/text.hpp"
#include "storage/history/sqlite_store.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t piece_bytes = 64 * 1024;

void put_seconds(std::string& out, std::int64_t wall_ms) {
  const bool negative = wall_ms < 0;
  const auto size = negative ? 0 - static_cast<std::uint64_t>(wall_ms) : static_cast<std::uint64_t>(wall_ms);
  fmt::format_to(std::back_inserter(out), "{}{}.{:03}", negative ? "-" : "", size / 1000, size % 1000);
}

// `# TYPE` and `# UNIT` of a metric's family. In OpenMetrics a counter's family has its name without _total.
void put_family(std::string& out, const SeriesDescription& series) {
  std::string_view family = series.metric;
  const bool counter = series.kind == Kind::counter && family.ends_with("_total");
  if (counter) family.remove_suffix(6);
  fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", family, counter ? "counter" : "gauge");
  const std::string_view unit = suffix(series.unit);
  if (!unit.empty() && family.ends_with(fmt::format("_{}", unit))) {
    fmt::format_to(std::back_inserter(out), "# UNIT {} {}\n", family, unit);
  }
}

void put_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

// Collects text and passes it to `write` in pieces of 64 KiB, so that a long history is never in memory as a whole.
class Pieces {
 public:
  explicit Pieces(const WriteText& write) : write_(write) {}
  std::string& text() { return text_; }
  // Passes the text to `write_` if it fills a piece or `all` is set. False: stop.
  bool pass(bool all) {
    if (text_.empty() || (text_.size() < piece_bytes && !all)) return open_;
    open_ = open_ && write_(text_);
    text_.clear();
    return open_;
  }

 private:
  const WriteText& write_;
  std::string text_;
  bool open_ = true;
};

}  // namespace

Result<std::unique_ptr<Store>> open_to_export(const std::filesystem::path& path) {
  Result<std::unique_ptr<SqliteStore>> store = SqliteStore::open_read_only(path);
  if (!store) return store.error();
  return std::unique_ptr<Store>(std::move(*store));
}

Result<void> export_openmetrics(Store& store, const Selection& selection, const WriteText& write) {
  Pieces pieces(write);
  std::string metric;
  auto read = store.read(selection, [&](const SeriesDescription& series, const std::vector<Point>& points) {
    if (series.metric != metric) put_family(pieces.text(), series);
    metric = series.metric;
    const std::string name = series.labels.empty() ? metric + " " : fmt::format("{}{{{}}} ", metric, series.labels);
    for (const auto& point : points) {
      if (is_end_mark(point.value)) continue;  // OpenMetrics has no word for it
      pieces.text() += name;
      text::append_shortest(pieces.text(), point.value);
      pieces.text() += ' ';
      put_seconds(pieces.text(), point.wall_ms);
      pieces.text() += '\n';
      if (!pieces.pass(false)) return false;
    }
    return true;
  });
  if (!read) return read;
  pieces.text() += "# EOF\n";
  pieces.pass(true);
  return {};
}

Result<void> export_csv(Store& store, const Selection& selection, const WriteText& write) {
  Pieces pieces(write);
  pieces.text() = "time,metric,labels,value\n";
  auto read = store.read(selection, [&](const SeriesDescription& series, const std::vector<Point>& points) {
    std::string name = "," + series.metric + ",";
    put_quoted(name, series.labels);
    name += ',';
    for (const auto& point : points) {
      pieces.text() += text::rfc3339(point.wall_ms, text::Decimals::three);
      pieces.text() += name;
      if (!is_end_mark(point.value)) text::append_shortest(pieces.text(), point.value);
      pieces.text() += '\n';
      if (!pieces.pass(false)) return false;
    }
    return true;
  });
  if (!read) return read;
  pieces.pass(true);
  return {};
}

}  // namespace perjoule::storage
