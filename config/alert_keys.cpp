// The keys of `alerts`. The rules themselves are checked by the daemon, since config/ does not know the metrics.
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

}  // namespace

Complaints check_template(std::string_view text) {
  while (true) {
    const std::size_t open = text.find_first_of("{}");
    if (open == std::string_view::npos) return std::nullopt;
    const std::size_t close = text.find('}', open);
    if (text[open] == '}' || close == std::string_view::npos)
      return Complaint{fmt::format("{} has an unbalanced brace", text::quoted_short(text)), ""};
    const std::string_view name = text.substr(open + 1, close - open - 1);
    if (std::find(placeholders.begin(), placeholders.end(), name) == placeholders.end()) {
      std::string help = did_you_mean(name, placeholders);
      if (help.empty()) help = "{hostname} and {port} can be used here";
      return Complaint{fmt::format("unknown placeholder {}", text::quoted_short(name)), std::move(help)};
    }
    text.remove_prefix(close + 1);
  }
}

namespace {

Complaints check_external_labels(const Value& value) {
  for (const auto& [name, text] : std::get<Map>(value)) {
    if (!is_label(name)) {
      return Complaint{fmt::format("{} is not a valid label name", text::quoted_short(name)),
                       "use letters, digits and _, and start with neither a digit nor __"};
    }
    if (name == "alertname" || name == "severity" || name == "alertstate")
      return Complaint{fmt::format("{} is reserved: every alert sets this label itself", name), "use another name"};
    if (auto complaint = check_template(text)) return complaint;
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

void add_receivers(std::vector<Key>& keys, const std::string& name, std::string_view what,
                   std::vector<Receiver> Alerts::*member) {
  const std::string path = "alerts." + name;
  keys.push_back(
      {.path = path,
       .type = OptionType::target_list,
       .help = fmt::format("{} An item is a URL, or an object with url, name, basic_auth (username, password_file), "
                           "authorization (type, credentials_file), tls (ca_file, cert_file, key_file, server_name), "
                           "proxy and headers. Files are read again when they change.",
                           what),
       .secret = true,
       .null_means = "none",
       .store = [member](Settings& to,
                         const Value& v) { to.alerts.*member = receivers_from(std::get<std::string>(v)); },
       .examine =
           [path](const json::Value& list) {
             std::vector<json::Problem> problems;
             static_cast<void>(read_receivers(list, path, problems));
             return problems;
           }});
}

}  // namespace

void add_alert_keys(std::vector<Key>& keys, const ExamineRules& rules) {
  keys.push_back({.path = "alerts.external_labels",
                  .type = OptionType::text_map,
                  .fallback = "instance={hostname}:{port},source=perjouled",
                  .help = "Labels added to every alert for every receiver. Labels given here are added to the default "
                          "ones; an empty string removes one.",
                  .check = check_external_labels,
                  .store = [](Settings& to, const Value& v) {
                    to.alerts.external_labels = std::get<Map>(v);
                    std::erase_if(to.alerts.external_labels, [](const auto& label) { return label.second.empty(); });
                  }});
  add_receivers(keys, "alertmanagers", "Alertmanagers, such as http://HOST:9093; every alert is sent to each of them.",
                &Alerts::alertmanagers);
  add_receivers(keys, "webhooks",
                "Webhooks to which every alert is posted, in the format of Alertmanager's webhook (version 4).",
                &Alerts::webhooks);
  keys.push_back({.path = "alerts.runbook_url",
                  .help = "URL of the runbooks with {runbook} in place of the page's name, such as "
                          "https://HOST/runbooks/{runbook}.md; alerts carry it as annotation runbook_url.",
                  .null_means = "alerts carry no link",
                  .check = check_runbook_url,
                  .store = [](Settings& to, const Value& v) { to.alerts.runbook_url = std::get<std::string>(v); }});
  keys.push_back({.path = "alerts.min_severity",
                  .fallback = "warning",
                  .help = "Lowest severity that is sent to receivers. Alerts below it are evaluated, logged and shown.",
                  .choices = {"info", "warning", "critical"},
                  .store = [](Settings& to, const Value& v) { to.alerts.min_severity = std::get<std::string>(v); }});
  keys.push_back({.path = "alerts.default_rules",
                  .type = OptionType::boolean,
                  .fallback = "true",
                  .help = "Use the built-in rules (`perjouled describe alerts`) in addition to alerts.rules.",
                  .store = [](Settings& to, const Value& v) { to.alerts.default_rules = std::get<bool>(v); }});
  keys.push_back({.path = "alerts.rules",
                  .type = OptionType::object_list,
                  .fallback = "[]",
                  .help = "Alert rules. A rule with the name of a default rule replaces it; { \"alert\": NAME, "
                          "\"enabled\": false } disables that one.",
                  .store = [](Settings& to, const Value& v) { to.alerts.rules = std::get<std::string>(v); },
                  .examine = rules});
}

}  // namespace perjoule::config
