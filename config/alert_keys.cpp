// The keys of `alerts`. The rules themselves are examined by the daemon, which knows the metrics.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/keys.hpp"
#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule::config {
namespace {

using Value = Options::Value;
using Complaints = std::optional<Complaint>;
using Map = std::map<std::string, std::string>;

constexpr std::array<std::string_view, 2> placeholders = {"hostname", "port"};

bool is_label(std::string_view name) {
  constexpr std::string_view digits = "0123456789";
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  if (name.empty() || digits.find(name.front()) != std::string_view::npos || name.starts_with("__")) return false;
  return name.find_first_not_of(allowed) == std::string_view::npos;
}

Complaints check_template(std::string_view text) {
  while (true) {
    const std::size_t open = text.find_first_of("{}");
    if (open == std::string_view::npos) return std::nullopt;
    const std::size_t close = text.find('}', open);
    if (text[open] == '}' || close == std::string_view::npos)
      return Complaint{fmt::format("{} has a brace without its partner", text::quoted_short(text)), ""};
    const std::string_view name = text.substr(open + 1, close - open - 1);
    if (std::find(placeholders.begin(), placeholders.end(), name) == placeholders.end()) {
      std::string help = did_you_mean(name, placeholders);
      if (help.empty()) help = "{hostname} and {port} are known here";
      return Complaint{fmt::format("{} is nothing that can be filled in", text::quoted_short(name)), std::move(help)};
    }
    text.remove_prefix(close + 1);
  }
}

Complaints check_external_labels(const Value& value) {
  for (const auto& [name, text] : std::get<Map>(value)) {
    if (!is_label(name)) {
      return Complaint{fmt::format("{} is not the name of a label", text::quoted_short(name)),
                       "letters, digits and _, no digit and no __ in front"};
    }
    if (name == "alertname" || name == "severity" || name == "alertstate")
      return Complaint{fmt::format("{} is the alert's own label", name), ""};
    if (auto complaint = check_template(text)) return complaint;
  }
  return std::nullopt;
}

Complaints check_urls(const Value& value) {
  for (const std::string& url : std::get<std::vector<std::string>>(value)) {
    const std::size_t scheme = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
    const bool host = scheme > 0 && url.size() > scheme && url[scheme] != '/' && url[scheme] != ':';
    const bool clean = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7F; });
    if (!host || !clean)
      return Complaint{fmt::format("{} is not a URL", text::quoted_short(url)), "write http://HOST:PORT/PATH"};
    if (std::string_view(url).substr(scheme, url.find('/', scheme) - scheme).find('@') != std::string_view::npos)
      return Complaint{"a URL with a user or password in it", "a secret belongs into the path, or to a proxy in front"};
  }
  return std::nullopt;
}

Complaints check_runbook_url(const Value& value) {
  const std::string& url = std::get<std::string>(value);
  if ((url.starts_with("http://") || url.starts_with("https://")) && url.find("{runbook}") != std::string::npos)
    return std::nullopt;
  return Complaint{fmt::format("{} is not a URL with {{runbook}} in it", text::quoted_short(url)),
                   "write https://HOST/PATH/{runbook}.md"};
}

}  // namespace

void add_alert_keys(std::vector<Key>& keys, const ExamineRules& rules) {
  keys.push_back({.path = "alerts.external_labels",
                  .type = OptionType::text_map,
                  .fallback = "instance={hostname}:{port},source=perjouled",
                  .help = "Labels that go with every alert to every receiver; those given here are added to the "
                          "default ones, and an empty text takes one away.",
                  .check = check_external_labels,
                  .store = [](Settings& to, const Value& v) {
                    to.alerts.external_labels = std::get<Map>(v);
                    std::erase_if(to.alerts.external_labels, [](const auto& label) { return label.second.empty(); });
                  }});
  keys.push_back(
      {.path = "alerts.alertmanagers",
       .type = OptionType::text_list,
       .help = "URLs of Alertmanagers, http://HOST:9093; each gets every alert.",
       .null_means = "none",
       .check = check_urls,
       .store = [](Settings& to, const Value& v) { to.alerts.alertmanagers = std::get<std::vector<std::string>>(v); }});
  keys.push_back(
      {.path = "alerts.webhooks",
       .type = OptionType::text_list,
       .help = "URLs that get each alert in the payload of Alertmanager's webhook, version 4.",
       .null_means = "none",
       .check = check_urls,
       .store = [](Settings& to, const Value& v) { to.alerts.webhooks = std::get<std::vector<std::string>>(v); }});
  keys.push_back({.path = "alerts.runbook_url",
                  .help = "URL of the runbooks, in which {runbook} stands for the page, such as "
                          "https://HOST/runbooks/{runbook}.md; alerts bear it as runbook_url.",
                  .null_means = "alerts bear no link",
                  .check = check_runbook_url,
                  .store = [](Settings& to, const Value& v) { to.alerts.runbook_url = std::get<std::string>(v); }});
  keys.push_back({.path = "alerts.default_rules",
                  .type = OptionType::boolean,
                  .fallback = "true",
                  .help = "The rules that the daemon brings (`perjouled describe alerts`) hold beside those below.",
                  .store = [](Settings& to, const Value& v) { to.alerts.default_rules = std::get<bool>(v); }});
  keys.push_back({.path = "alerts.rules",
                  .type = OptionType::object_list,
                  .fallback = "[]",
                  .help = "Alert rules. One with the name of a default rule replaces it; { \"alert\": NAME, "
                          "\"enabled\": false } switches it off.",
                  .store = [](Settings& to, const Value& v) { to.alerts.rules = std::get<std::string>(v); },
                  .examine = rules});
}

}  // namespace perjoule::config
