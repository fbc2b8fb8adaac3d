// An alert as its receivers see it: complete labels, annotations and times. Pure; any thread.
//
// The labels are the alert's identity there, so nothing in them may change between firing and resolution.
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

// Where a reader of the alert finds more. Both may be empty.
struct Links {
  std::string daemon;   // URL of this daemon's page
  std::string runbook;  // URL in which {runbook} stands for the name of the page; an alert may bear a URL of its own
};

// The instance's labels, the external ones, alertname and severity, sorted. The alert's name and severity and the
// external labels keep their names, for they are what keeps two hosts, and two levels, apart: an instance's label that
// clashes with one becomes exported_NAME, as in a scrape by Prometheus. A label without a value is none.
[[nodiscard]] Labels complete_labels(const Alert& alert, const Labels& external);

// `resolved` false tells the firing also of an alert that has ended since.
[[nodiscard]] Notice make_notice(const Alert& alert, const Labels& external, const Links& links, bool resolved);

// Prometheus' and Alertmanager's fingerprint of sorted labels: FNV-1a, 64 bits, over each name and value with a byte
// 255 behind it; 16 hexadecimal digits (prometheus/common, model/signature.go).
[[nodiscard]] std::string fingerprint(const Labels& labels);

// The members "labels" and "annotations" of an object that has been begun in `out`.
void append_identity(std::string& out, const Notice& notice);

}  // namespace perjoule::alerts
