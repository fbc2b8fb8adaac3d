// The reference of all metrics, published as deploy/metrics.md. Pure; any thread.
#pragma once

#include <string>

namespace perjoule {

[[nodiscard]] std::string describe_metrics();  // Markdown

}  // namespace perjoule
