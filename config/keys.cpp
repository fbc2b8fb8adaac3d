#include "config/keys.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "config/text.hpp"

namespace perjoule::config {
namespace {

using Value = Options::Value;
using Complaints = std::optional<Complaint>;

constexpr double minute = 60;
constexpr double hour = 60 * minute;
constexpr double day = 24 * hour;
constexpr double year = 365 * day;
constexpr double mebibyte = 1 << 20;

bool flag(const Value& value) {
  return std::get<bool>(value);
}
double number(const Value& value) {
  return std::get<double>(value);
}
const std::string& text(const Value& value) {
  return std::get<std::string>(value);
}
Milliseconds duration(const Value& value) {
  return Milliseconds(std::llround(number(value) * 1000.0));
}

bool is_host(std::string_view host) {
  const std::string name(host);
  std::array<unsigned char, sizeof(in6_addr)> address{};
  if (name.starts_with('[') && name.ends_with(']')) {
    return inet_pton(AF_INET6, name.substr(1, name.size() - 2).c_str(), address.data()) == 1;
  }
  if (name.find_first_not_of("0123456789.") == std::string::npos) {
    return name.empty() || inet_pton(AF_INET, name.c_str(), address.data()) == 1;
  }
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
  return name.size() <= 253 && name.find_first_not_of(allowed) == std::string::npos && name.front() != '-';
}

Complaints check_listen_addresses(const Value& value) {
  const auto& addresses = std::get<std::vector<std::string>>(value);
  if (addresses.empty())
    return Complaint{"an empty list: the daemon would serve nothing", "the default is 127.0.0.1:10190"};
  for (const std::string& address : addresses) {
    const std::size_t colon = address.rfind(':');
    const std::string help = "write HOST:PORT, such as 127.0.0.1:10190, [::1]:10190 or :10190 for every interface";
    if (colon == std::string::npos) return Complaint{fmt::format("{} has no port", text::quoted_short(address)), help};
    const auto port = parse_integer(std::string_view(address).substr(colon + 1));
    if (!port || *port < 0 || *port > 65535)
      return Complaint{fmt::format("{}: the port must be 0 to 65535", text::quoted_short(address)), help};
    if (!is_host(std::string_view(address).substr(0, colon))) {
      return Complaint{fmt::format("{} is not an address to listen on", text::quoted_short(address)), help};
    }
  }
  return std::nullopt;
}

Complaints check_telemetry_path(const Value& value) {
  const std::string& path = text(value);
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.~-";
  if (!path.starts_with('/'))
    return Complaint{"does not start with /", fmt::format("write {}", text::quoted("/" + path))};
  if (path.find_first_not_of(allowed) != std::string::npos) {
    return Complaint{"contains a character that is not allowed in this path",
                     "letters, digits and / _ . ~ - are allowed"};
  }
  if (path == "/" || path.starts_with("/-/") || path.starts_with("/api/")) {
    return Complaint{fmt::format("{} is used by the daemon itself", text::quoted_short(path)),
                     "the default is /metrics"};
  }
  return std::nullopt;
}

LogLevel log_level(std::string_view word) {
  if (word == "debug") return LogLevel::debug;
  if (word == "warn") return LogLevel::warn;
  return word == "error" ? LogLevel::error : LogLevel::info;
}

void add_web(std::vector<Key>& keys) {
  keys.push_back(
      {.path = "web.listen_address",
       .type = OptionType::text_list,
       .fallback = "127.0.0.1:10190",
       .help = "Addresses to listen on: HOST:PORT, [IPV6]:PORT, or :PORT for every interface.",
       .needs_restart = true,
       .check = check_listen_addresses,
       .store = [](Settings& to, const Value& v) { to.web.listen_address = std::get<std::vector<std::string>>(v); }});
  keys.push_back(external_url_key());
  keys.push_back({.path = "web.telemetry_path",
                  .fallback = "/metrics",
                  .help = "URL path of the metrics for Prometheus.",
                  .needs_restart = true,
                  .check = check_telemetry_path,
                  .store = [](Settings& to, const Value& v) { to.web.telemetry_path = text(v); }});
  keys.push_back({.path = "web.max_requests",
                  .type = OptionType::integer,
                  .fallback = "40",
                  .help = "Maximum number of concurrent requests; further ones are answered with 503.",
                  .min = 1,
                  .max = 10000,
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) { to.web.max_requests = static_cast<int>(number(v)); }});
  keys.push_back({.path = "web.enable_lifecycle",
                  .type = OptionType::boolean,
                  .fallback = "false",
                  .help = "Allow POST /-/reload.",
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) { to.web.enable_lifecycle = flag(v); }});
}

void add_storage(std::vector<Key>& keys) {
  keys.push_back({.path = "storage.enabled",
                  .type = OptionType::boolean,
                  .fallback = "true",
                  .help = "Keep history and totals on disk; without it totals restart at zero with the daemon.",
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) { to.storage.enabled = flag(v); }});
  keys.push_back({.path = "storage.path",
                  .fallback = "/var/lib/perjoule",
                  .help = "Directory of the databases ledger.db (totals, alert states, GPU numbers) and history.db.",
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) { to.storage.path = text(v); }});
  keys.push_back({.path = "storage.commit",
                  .type = OptionType::duration,
                  .fallback = "5s",
                  .help = "Interval at which history is written to disk; a power failure loses at most this much.",
                  .min = 1,
                  .max = minute,
                  .store = [](Settings& to, const Value& v) { to.storage.commit = duration(v); }});
  keys.push_back({.path = "storage.lossless",
                  .type = OptionType::boolean,
                  .fallback = "false",
                  .help = "Store history without rounding. Otherwise some metrics are rounded to multiples of a small "
                          "step, which halves their size; perjouled describe metrics lists the steps.",
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) { to.storage.lossless = flag(v); }});
}

void add_retention(std::vector<Key>& keys) {
  keys.push_back({.path = "storage.retention.raw",
                  .type = OptionType::duration,
                  .fallback = "30d",
                  .help = "Retention of raw samples.",
                  .min = minute,
                  .max = 100 * year,
                  .store = [](Settings& to, const Value& v) { to.storage.retention.raw = duration(v); }});
  keys.push_back({.path = "storage.retention.minute",
                  .type = OptionType::duration,
                  .fallback = "1y",
                  .help = "Retention of 1-minute roll-ups.",
                  .min = minute,
                  .max = 100 * year,
                  .store = [](Settings& to, const Value& v) { to.storage.retention.minute = duration(v); }});
  keys.push_back({.path = "storage.retention.hour",
                  .type = OptionType::duration,
                  .fallback = "5y",
                  .help = "Retention of 1-hour roll-ups, and of totals of textfiles that are no longer read.",
                  .min = minute,
                  .max = 100 * year,
                  .store = [](Settings& to, const Value& v) { to.storage.retention.hour = duration(v); }});
  keys.push_back(
      {.path = "storage.retention.size",
       .type = OptionType::size,
       .fallback = "512 MiB",
       .help =
           "Maximum disk space of history and its write-ahead log; the oldest data is deleted first. The write-ahead "
           "log "
           "takes a quarter, at most 8 MiB. Of the rest, 1/2 is for raw samples, 3/8 for 1-minute and 1/8 for 1-hour "
           "roll-ups; what one of them does not use the others may. A hundred series at 1 s need about 6 MB of raw "
           "samples and 1 MB of 1-minute roll-ups a day. The daemon's log and perjoule_storage_retention_seconds show "
           "how far back history reaches at the present write rate.",
       .min = mebibyte,
       .max = 1024.0 * 1024 * mebibyte,
       .store = [](Settings& to, const Value& v) { to.storage.retention.size_bytes = std::llround(number(v)); }});
}

void add_log(std::vector<Key>& keys) {
  keys.push_back({.path = "log.level",
                  .fallback = "info",
                  .help = "Lowest level of the log lines that are written.",
                  .choices = {"debug", "info", "warn", "error"},
                  .store = [](Settings& to, const Value& v) { to.log.level = log_level(text(v)); }});
  keys.push_back({.path = "log.format",
                  .fallback = "logfmt",
                  .help = "Format of the log lines.",
                  .choices = {"logfmt", "json"},
                  .needs_restart = true,
                  .store = [](Settings& to, const Value& v) {
                    to.log.format = text(v) == "json" ? LogFormat::json : LogFormat::logfmt;
                  }});
}

void add_paths(std::vector<Key>& keys) {
  auto add = [&keys](std::string_view name, std::string_view fallback, std::string_view help,
                     std::filesystem::path Roots::*member) {
    keys.push_back({.path = fmt::format("path.{}", name),
                    .fallback = std::string(fallback),
                    .help = std::string(help),
                    .needs_restart = true,
                    .store = [member](Settings& to, const Value& v) { to.roots.*member = text(v); }});
  };
  add("procfs", "/proc", "Mount point of procfs.", &Roots::procfs);
  add("sysfs", "/sys", "Mount point of sysfs.", &Roots::sysfs);
  add("cgroupfs", "/sys/fs/cgroup", "Mount point of the cgroup hierarchy.", &Roots::cgroupfs);
  add("rootfs", "/", "Mount point of the host's root directory.", &Roots::rootfs);
  add("nvml", "libnvidia-ml.so.1",
      "NVIDIA's management library (NVML): a path, or a name that the dynamic linker finds.", &Roots::nvml);
}

template <class T, Checked<T> (*parse)(std::string_view)>
Complaints check_rate(const Value& value) {
  const Checked<T> parsed = parse(text(value));
  return parsed ? Complaints() : Complaints(parsed.error());
}

void add_electricity(std::vector<Key>& keys) {
  keys.push_back({.path = "efficiency.electricity.price",
                  .help = "Price of energy, such as 0.12 USD/kWh or 95 EUR/MWh. A change applies to energy used from "
                          "then on.",
                  .null_means = "no cost is shown",
                  .check = check_rate<Price, parse_price>,
                  .store = [](Settings& to, const Value& v) { to.efficiency.price = *parse_price(text(v)); }});
  keys.push_back({.path = "efficiency.electricity.carbon",
                  .help = "Average carbon intensity of the grid in CO2 equivalent, such as 400 g/kWh (g/kWh, kg/kWh, "
                          "g/MWh, kg/MWh, lb/MWh).",
                  .null_means = "no emissions are shown",
                  .check = check_rate<double, parse_carbon>,
                  .store = [](Settings& to, const Value& v) { to.efficiency.carbon = *parse_carbon(text(v)); }});
  keys.push_back({.path = "efficiency.facility.pue",
                  .type = OptionType::number,
                  .help = "Power usage effectiveness (PUE) of the facility, a constant by which the node's energy is "
                          "multiplied for cost and emissions.",
                  .min = 1,
                  .max = 10,
                  .null_means = "cost and emissions are those of the node's own energy",
                  .store = [](Settings& to, const Value& v) { to.efficiency.pue = number(v); }});
}

void add_idle(std::vector<Key>& keys) {
  keys.push_back(
      {.path = "efficiency.idle.enter_after",
       .type = OptionType::duration,
       .fallback = "60s",
       .help =
           "Time that a GPU must look idle before it is counted as idle; until then its time counts for the previous "
           "state.",
       .min = 1,
       .max = hour,
       .store = [](Settings& to, const Value& v) { to.efficiency.idle_enter_after = duration(v); }});
  keys.push_back({.path = "efficiency.idle.floor",
                  .type = OptionType::power,
                  .help = "Power of a GPU in deep idle; power above this while the GPU is idle counts as idle waste.",
                  .min = 1,
                  .max = 10'000,
                  .null_means = "learned from each GPU in deep idle; until then from its sisters, else from a table",
                  .store = [](Settings& to, const Value& v) { to.efficiency.idle_floor_watts = number(v); }});
  keys.push_back({.path = "efficiency.idle.ignore_processes",
                  .type = OptionType::text_list,
                  .fallback = "nvidia-cuda-mps,nv-hostengine,Xorg,gnome-shell,kwin,nvidia-persistenced",
                  .help = "Processes that do not hold a GPU although they have a context on it: services of the host, "
                          "by the beginning of their name (/proc/PID/comm).",
                  .store = [](Settings& to, const Value& v) {
                    to.efficiency.idle_ignore_processes = std::get<std::vector<std::string>>(v);
                  }});
}

void add_efficiency(std::vector<Key>& keys) {
  constexpr double watt_max = 100'000;
  keys.push_back({.path = "efficiency.power_model.idle",
                  .type = OptionType::power,
                  .help = "Power of the whole node at 0 % CPU utilisation, for hosts without a power meter.",
                  .min = 1,
                  .max = watt_max,
                  .null_means = "published coefficients of the CPU's family",
                  .store = [](Settings& to, const Value& v) { to.power_model.idle_watts = number(v); }});
  keys.push_back({.path = "efficiency.power_model.max",
                  .type = OptionType::power,
                  .help = "Power of the whole node at 100 % CPU utilisation; set it together with idle.",
                  .min = 1,
                  .max = watt_max,
                  .null_means = "published coefficients of the CPU's family",
                  .store = [](Settings& to, const Value& v) { to.power_model.max_watts = number(v); }});
}

void add_collector(std::vector<Key>& keys, const CollectorSection& section) {
  const std::string name(section.name);
  const std::string prefix = "collectors." + name + ".";
  auto seconds = [](Milliseconds ms) { return format_duration(static_cast<double>(ms.count()) / 1000.0); };
  keys.push_back({.path = prefix + "enabled",
                  .type = OptionType::boolean,
                  .fallback = section.enabled ? "true" : "false",
                  .help = std::string(section.help),
                  .store = [name](Settings& to, const Value& v) { to.collectors[name].enabled = flag(v); }});
  keys.push_back({.path = prefix + "period",
                  .type = OptionType::duration,
                  .fallback = seconds(section.period),
                  .help = "Sampling interval.",
                  .min = 0.1,
                  .max = hour,
                  .store = [name](Settings& to, const Value& v) { to.collectors[name].period = duration(v); }});
  keys.push_back({.path = prefix + "deadline",
                  .type = OptionType::duration,
                  .fallback = seconds(section.deadline),
                  .help =
                      "Time after which a sample counts as stuck; at most the period. If the period is shorter than "
                      "the default, the default is 0.9 of the period.",
                  .min = 0.01,
                  .max = hour,
                  .store = [name](Settings& to, const Value& v) { to.collectors[name].deadline = duration(v); }});
  keys.push_back({.path = prefix + "stale_after",
                  .type = OptionType::duration,
                  .help = "Age at which a value is removed from /metrics.",
                  .min = 0.1,
                  .max = day,
                  .null_means = "3 periods, at least 10s",
                  .store = [name](Settings& to, const Value& v) { to.collectors[name].stale_after = duration(v); }});
  for (const Option& option : section.options) {
    keys.push_back({.path = prefix + std::string(option.key),
                    .type = option.type,
                    .fallback = std::string(option.fallback),
                    .help = std::string(option.help),
                    .min = option.min,
                    .max = option.max,
                    .null_means = option.fallback.empty() ? "none" : "",
                    .store = [name, key = std::string(option.key)](Settings& to, const Value& v) {
                      to.collectors[name].options.set(key, v);
                    }});
  }
}

}  // namespace

std::vector<Key> keys(std::span<const CollectorSection> collectors, const ExamineRules& rules) {
  std::vector<Key> keys;
  add_web(keys);
  add_storage(keys);
  add_retention(keys);
  add_log(keys);
  add_paths(keys);
  add_electricity(keys);
  add_efficiency(keys);
  add_idle(keys);
  keys.push_back({.path = "collectors.disable_defaults",
                  .type = OptionType::boolean,
                  .fallback = "false",
                  .help = "Run only the collectors that are enabled by name.",
                  .store = [](Settings&, const Value&) {}});
  for (const CollectorSection& section : collectors)
    add_collector(keys, section);
  add_alert_keys(keys, rules);
  return keys;
}

std::string flag_name(const Key& key) {
  constexpr std::string_view collectors = "collectors.";
  constexpr std::string_view enabled = ".enabled";
  std::string name = key.path;
  std::size_t fixed = 0;  // a collector's name keeps its underscores: --collector.thermal_zone, as in node_exporter
  if (name.starts_with(collectors)) {
    name.erase(collectors.size() - 2, 1);
    if (const std::size_t dot = name.find('.', collectors.size() - 1); dot != std::string::npos) fixed = dot;
  }
  if (name.ends_with(enabled)) name.erase(name.size() - enabled.size());
  for (std::size_t i = fixed; i < name.size(); ++i) {
    if (name[i] == '_') name[i] = '-';
  }
  return name;
}

std::string environment_name(const Key& key) {
  std::string name = "PERJOULE_";
  for (char c : key.path)
    name += c == '.' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

}  // namespace perjoule::config
