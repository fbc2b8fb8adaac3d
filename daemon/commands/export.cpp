#include "storage/history/export.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <ctime>

#include "daemon/commands/commands.hpp"

namespace perjoule {

namespace {

std::optional<int> digits(std::string_view& text, std::size_t count) {
  int value = 0;
  if (text.size() < count) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + count, value);
  if (error != std::errc{} || end != text.data() + count || text.front() == '-') return std::nullopt;
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<std::int64_t> parse_time(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc{} && end == text.data() + text.size()) {
    if (!(seconds >= 0 && seconds < 1e11)) return std::nullopt;
    return static_cast<std::int64_t>(seconds * 1000);
  }
  const auto year = digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = digits(text, 2);
  if (!day) return std::nullopt;
  std::tm parts{};
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  if (!text.empty()) {
    if (!take(text, 'T') && !take(text, ' ')) return std::nullopt;
    const auto hour = digits(text, 2);
    if (!hour || !take(text, ':')) return std::nullopt;
    const auto minute = digits(text, 2);
    if (!minute || !take(text, ':')) return std::nullopt;
    const auto second = digits(text, 2);
    if (!second || !take(text, 'Z') || !text.empty()) return std::nullopt;
    parts.tm_hour = *hour;
    parts.tm_min = *minute;
    parts.tm_sec = *second;
  }
  // timegm carries what is out of range into the next field: a date that it changes was none.
  const std::tm given = parts;
  const std::time_t time = timegm(&parts);
  const bool same = parts.tm_mday == given.tm_mday && parts.tm_mon == given.tm_mon && parts.tm_hour == given.tm_hour &&
                    parts.tm_min == given.tm_min && parts.tm_sec == given.tm_sec;
  if (!same) return std::nullopt;
  return static_cast<std::int64_t>(time) * 1000;
}

int run_export(const config::Settings& settings, const ExportRequest& request) {
  storage::Selection selection;
  selection.metric = request.metric;
  selection.labels = request.labels;
  for (const auto& [text, into, flag] :
       {std::tuple(&request.from, &selection.from_ms, "--from"), std::tuple(&request.to, &selection.to_ms, "--to")}) {
    if (text->empty()) continue;
    const std::optional<std::int64_t> time = parse_time(*text);
    if (!time) {
      fmt::print(stderr, "{}={}: expected a time like 2026-11-24T10:00:00Z, 2026-11-24, or seconds since the epoch\n",
                 flag, *text);
      return exit_usage;
    }
    *into = *time;
  }
  const std::filesystem::path path = settings.storage.path / "history.db";
  auto store = storage::open_to_export(path);
  if (!store) {
    fmt::print(stderr, "perjouled export: {}\n", store.error().what);
    if (!store.error().remedy.empty()) fmt::print(stderr, "remedy: {}\n", store.error().remedy);
    return store.error().fault == Fault::denied ? exit_permission : exit_failure;
  }
  const auto write = [](std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  };
  const Result<void> written = request.format == "csv" ? storage::export_csv(**store, selection, write)
                                                       : storage::export_openmetrics(**store, selection, write);
  if (!written || std::fflush(stdout) != 0) {
    fmt::print(stderr, "perjouled export: {}\n", written ? "cannot write to stdout" : written.error().what);
    return exit_failure;
  }
  return exit_ok;
}

}  // namespace perjoule
