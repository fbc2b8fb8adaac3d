#include "daemon/alerts/notice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/json_writer.hpp"

namespace perjoule::alerts {

namespace {

class Fnv1a {
 public:
  void add(std::string_view text) {
    for (const char c : text)
      add(static_cast<unsigned char>(c));
    add(0xFF);
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  void add(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001B3ULL; }
  std::uint64_t value_ = 0xCBF29CE484222325ULL;
};

std::string replaced(std::string text, std::string_view placeholder, std::string_view by) {
  for (std::size_t at = text.find(placeholder); at != std::string::npos; at = text.find(placeholder, at + by.size()))
    text.replace(at, placeholder.size(), by);
  return text;
}

}  // namespace

Labels complete_labels(const Alert& alert, const Labels& external) {
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : external) {
    if (!value.empty()) all[name] = value;
  }
  all["alertname"] = alert.name;
  all["severity"] = alert.severity;
  for (const auto& [name, value] : alert.labels) {
    if (value.empty()) continue;
    std::string free = name;
    while (all.contains(free))
      free.insert(0, "exported_");
    all.emplace(std::move(free), value);
  }
  return {all.begin(), all.end()};
}

Notice make_notice(const Alert& alert, const Labels& external, const Links& links, bool resolved) {
  Notice notice;
  notice.labels = complete_labels(alert, external);
  if (resolved && !alert.reason.empty()) notice.annotations.emplace_back("reason", alert.reason);
  const bool is_url = alert.runbook.starts_with("http://") || alert.runbook.starts_with("https://");
  const std::string runbook_url = is_url ? alert.runbook : replaced(links.runbook, "{runbook}", alert.runbook);
  if (!alert.runbook.empty() && !runbook_url.empty()) notice.annotations.emplace_back("runbook_url", runbook_url);
  notice.annotations.emplace_back("summary", alert.summary);
  notice.resolved = resolved;
  notice.starts_ms = alert.starts_ms;
  // A wall clock that was set back could put the end before the start.
  if (resolved) notice.ends_ms = std::max(alert.ends_ms, alert.starts_ms);
  return notice;
}

std::string fingerprint(const Labels& labels) {
  Fnv1a hash;
  for (const auto& [name, value] : labels) {
    hash.add(name);
    hash.add(value);
  }
  return fmt::format("{:016x}", hash.value());
}

void append_identity(std::string& out, const Notice& notice) {
  JsonWriter json(out);
  json.key("labels");
  append_json(out, notice.labels);
  json.key("annotations");
  append_json(out, notice.annotations);
}

}  // namespace perjoule::alerts
