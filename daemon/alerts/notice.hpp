// An alert as its receivers see it: complete labels, annotations and times. Pure; any thread.
//
// Receivers identify an alert by its labels, so they must be the same when it fires and when it is resolved.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/alerts/alert.hpp"

namespace perjoule::alerts {

struct Notice {
  Labels labels;       // complete_labels()
  Labels annotations;  // sorted by name
  bool resolved = false;
  std::int64_t starts_ms = 0;  // wall clock
  std::int64_t ends_ms = 0;    // wall clock; only when resolved
};

// URLs for the reader of an alert. Both may be empty.
struct Links {
  std::string daemon;   // URL of this daemon's page
  std::string runbook;  // URL with {runbook} in place of the page's name; not used for an alert that has its own URL
};

// The labels of the series, the external labels, alertname and severity, sorted by name. If a label of the series has
// the name of one of the others, it becomes exported_NAME, as in a scrape by Prometheus; the others keep their names,
// because they distinguish hosts and severities. Labels with an empty value are left out.
[[nodiscard]] Labels complete_labels(const Alert& alert, const Labels& external);

// `resolved` false: the notice says firing, also if the alert has ended since; its firing was not yet delivered.
[[nodiscard]] Notice make_notice(const Alert& alert, const Labels& external, const Links& links, bool resolved);

// The fingerprint of sorted labels in Prometheus and Alertmanager: 64-bit FNV-1a over each name and each value, each
// followed by a byte 255; 16 hexadecimal digits (prometheus/common, model/signature.go).
[[nodiscard]] std::string fingerprint(const Labels& labels);

// Appends the members "labels" and "annotations" to an object that is open in `out`.
void append_identity(std::string& out, const Notice& notice);

}  // namespace perjoule::alerts
