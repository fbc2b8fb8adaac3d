#include "daemon/commands/describe.hpp"

#include <fmt/format.h>

#include "daemon/families.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule {

std::string describe_metrics() {
  std::string out =
      "# Metrics\n\nWritten by `perjouled describe metrics`. Persisted counters never decrease, not even across "
      "restarts and reboots; other counters restart with their source.\n";
  for (const MetricGroup& group : metric_groups()) {
    out +=
        fmt::format("\n## {}\n\n{}\n\n| family | type | labels | help |\n|---|---|---|---|\n", group.name, group.help);
    for (const Metric* metric : group.metrics) {
      std::string labels;
      for (std::size_t i = 0; i < metric->label_count; ++i)
        labels += (i > 0 ? ", " : "") + std::string(metric->labels[i]);
      std::string_view type = metric->kind == Kind::gauge ? "gauge" : "counter";
      if (metric->persisted) type = "counter, persisted";
      if (Instruments::is_histogram(*metric)) type = "histogram";
      const std::string step =
          metric->storage_step > 0 ? fmt::format(" Stored in steps of {:g}.", metric->storage_step) : "";
      out += fmt::format("| `{}` | {} | {} | {}{} |\n", metric->name, type, labels, metric->help, step);
    }
  }
  return out;
}

}  // namespace perjoule
