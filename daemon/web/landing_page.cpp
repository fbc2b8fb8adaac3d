#include <fmt/format.h>

#include "config/text.hpp"
#include "daemon/web/routes.hpp"

namespace perjoule::web {

namespace {

// For HTML text and attributes in double quotes.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text::printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Each state has a sign and a word, so that the page can be read without colours (WCAG 2, 1.4.1).
std::string_view sign(const std::optional<SourceState>& state) {
  if (!state) return "&#8230; starting";
  switch (*state) {
    case SourceState::ok:
      return "&#10003; ok";
    case SourceState::absent:
      return "&#8211; absent";
    case SourceState::denied:
      return "&#9888; denied";
    case SourceState::error:
      return "&#10007; error";
    case SourceState::stuck:
      return "&#9203; stuck";
  }
  return "unknown";
}

constexpr std::string_view head = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>perjouled</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
td.number { text-align: right; } code { font-size: .9em; overflow-wrap: anywhere; }
</style></head><body>
)";

// The items without a value; the first of them that is a fault is in `what`.
std::string items(const SourceStatus& status) {
  constexpr std::size_t shown_max = 10;
  std::string out;
  std::size_t shown = 0;
  for (const SourceItem& item : status.without_value) {
    if (shown++ == shown_max) break;
    out += fmt::format("<br>{}: {}", escape(item.name), name(item.state));
    if (!item.what.empty()) out += fmt::format(" ({})", escape(item.what));
  }
  if (status.without_value.size() > shown_max)
    out += fmt::format("<br>{} more", status.without_value.size() - shown_max);
  return out;
}

std::string row(const SourceStatus& status, std::int64_t wall_ms) {
  std::string age = "never";
  if (status.last_success_seconds > 0) {
    age = fmt::format("{:.0f} s ago", std::max(static_cast<double>(wall_ms) / 1000 - status.last_success_seconds, 0.0));
  }
  const std::string last_call =
      status.duration_seconds ? fmt::format("{:.1f} ms", *status.duration_seconds * 1000) : "";
  std::string why = escape(status.what);
  if (!status.remedy.empty()) why += fmt::format("<br>Remedy: <code>{}</code>", escape(status.remedy));
  why += items(status);
  return fmt::format(
      "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>"
      "<td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
      escape(status.source), escape(status.device), sign(status.state), age, last_call, status.faults, status.missed,
      why);
}

}  // namespace

std::string landing_page(const Setup& setup, const SourceStatusTable::Content& content, std::int64_t wall_ms) {
  std::string out(head);
  out += fmt::format("<h1>perjouled</h1><p>Power, thermal and efficiency telemetry of this node. Version {}.</p>\n",
                     escape(setup.version));
  out += fmt::format(
      "<p><a href=\"{0}\">/{0}</a> for Prometheus &middot; <a href=\"-/healthy\">/-/healthy</a> &middot; "
      "<a href=\"-/ready\">/-/ready</a></p>\n<p>History: {1}</p>\n",
      escape(std::string_view(setup.telemetry_path).substr(1)), escape(content.storage));
  for (const std::string& note : content.notes)
    out += fmt::format("<p>&#9888; {}</p>\n", escape(note));
  out +=
      "<h2>Sources</h2>\n<table><thead><tr><th>Source</th><th>Device</th><th>State</th><th>Last success</th><th>Last "
      "call</th>"
      "<th>Faults</th><th>Missed ticks</th><th>Why</th></tr></thead><tbody>\n";
  for (const SourceStatus& status : content.sources)
    out += row(status, wall_ms);
  out += "</tbody></table>\n";
  out += fmt::format("<p>As of {}.</p>\n</body></html>\n", text::rfc3339(wall_ms, text::Decimals::none));
  return out;
}

}  // namespace perjoule::web
