// The daemon's configuration as plain structs, which the rest of the daemon reads. config/loader fills them from the
// key table (defaults), the files, the environment and the flags. Ranges are checked there. Units are in the names or
// types. Values only; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "config/rate_text.hpp"
#include "config/receiver.hpp"
#include "config/roots.hpp"

namespace perjoule::config {

using Milliseconds = std::chrono::milliseconds;

enum class LogLevel : std::uint8_t { debug, info, warn, error };
enum class LogFormat : std::uint8_t { logfmt, json };

struct Web {
  std::vector<std::string> listen_address = {"127.0.0.1:10190"};
  std::string telemetry_path = "/metrics";
  std::string external_url;  // template with {hostname} and {port}, without a slash at the end; empty: not configured
  int max_requests = 40;
  bool enable_lifecycle = false;
  friend bool operator==(const Web&, const Web&) = default;
};

struct Retention {
  Milliseconds raw{0};
  Milliseconds minute{0};
  Milliseconds hour{0};
  std::int64_t size_bytes = 0;
  friend bool operator==(const Retention&, const Retention&) = default;
};

struct Storage {
  bool enabled = true;  // --no-storage
  std::filesystem::path path = "/var/lib/perjoule";
  Milliseconds commit{5000};  // 1 s to 60 s
  bool lossless = false;
  Retention retention;
  friend bool operator==(const Storage&, const Storage&) = default;
};

struct Log {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::logfmt;
  friend bool operator==(const Log&, const Log&) = default;
};

struct PowerModel {
  std::optional<double> idle_watts;  // the node at 0 % utilisation
  std::optional<double> max_watts;   // the node at 100 %
  friend bool operator==(const PowerModel&, const PowerModel&) = default;
};

struct Alerts {
  std::map<std::string, std::string> external_labels;  // label -> template with {hostname} and {port}
  std::vector<Receiver> alertmanagers;
  std::vector<Receiver> webhooks;
  std::string runbook_url;               // template with {runbook}; empty: alerts carry no link
  std::string min_severity = "warning";  // info, warning or critical: alerts below it are shown and not sent
  bool default_rules = true;
  std::string rules = "[]";  // JSON, checked by the reader that the daemon passed to the loader
  friend bool operator==(const Alerts&, const Alerts&) = default;
};

struct Efficiency {
  std::optional<Price> price;    // of energy; none: no cost is shown
  std::optional<double> carbon;  // grams per kilowatt-hour
  std::optional<double> pue;     // of the facility, as a constant; at least 1
  Milliseconds idle_enter_after{60000};
  std::optional<double> idle_floor_watts;  // of a GPU in deep idle; none: learned from each GPU
  std::vector<std::string> idle_ignore_processes = {
      "nvidia-cuda-mps", "nv-hostengine", "Xorg", "gnome-shell", "kwin", "nvidia-persistenced"};  // prefixes of names
  friend bool operator==(const Efficiency&, const Efficiency&) = default;
};

struct CollectorSettings {
  bool enabled = true;
  Milliseconds period{1000};        // 100 ms to 1 h
  Milliseconds deadline{900};       // less than or equal to the period
  Milliseconds stale_after{10000};  // default: the greater of 3 periods and 10 s
  Options options;
  friend bool operator==(const CollectorSettings&, const CollectorSettings&) = default;
};

struct Settings {
  Web web;
  Storage storage;
  Log log;
  Roots roots;
  PowerModel power_model;
  Alerts alerts;
  Efficiency efficiency;
  std::map<std::string, CollectorSettings> collectors;  // one for every collector of the registry
  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace perjoule::config
