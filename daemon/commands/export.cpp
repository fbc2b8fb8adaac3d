#include "storage/history/export.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "config/text.hpp"
#include "daemon/commands/commands.hpp"

namespace perjoule {

namespace {

constexpr std::size_t date_size = 10;  // 2026-11-24
constexpr double seconds_max = 1e11;   // the year 5138

}  // namespace

std::optional<std::int64_t> parse_time(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc{} && end == text.data() + text.size()) {
    if (!(seconds >= 0 && seconds < seconds_max)) return std::nullopt;
    return static_cast<std::int64_t>(seconds * 1000);
  }
  // A date without a time is its midnight in UTC. A blank is accepted in place of the T.
  std::string full(text);
  if (full.size() == date_size) full += "T00:00:00Z";
  if (full.size() > date_size && full[date_size] == ' ') full[date_size] = 'T';
  return text::parse_rfc3339(full);
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
                 flag, text::printable(*text));
      return exit_usage;
    }
    *into = *time;
  }
  const std::filesystem::path path = settings.storage.path / "history.db";
  auto store = storage::open_to_export(path);
  if (!store) {
    fmt::print(stderr, "perjouled export: {}\n", text::printable(store.error().what));
    if (!store.error().remedy.empty()) fmt::print(stderr, "remedy: {}\n", text::printable(store.error().remedy));
    return store.error().fault == Fault::denied ? exit_permission : exit_failure;
  }
  const auto write = [](std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  };
  const Result<void> written = request.format == "csv" ? storage::export_csv(**store, selection, write)
                                                       : storage::export_openmetrics(**store, selection, write);
  if (!written || std::fflush(stdout) != 0) {
    fmt::print(stderr, "perjouled export: {}\n",
               written ? "cannot write to stdout" : text::printable(written.error().what));
    return exit_failure;
  }
  return exit_ok;
}

}  // namespace perjoule
