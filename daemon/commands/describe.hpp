// The metrics' reference as text: deploy/metrics.md. Pure.
#pragma once

#include <string>

namespace perjoule {

[[nodiscard]] std::string describe_metrics();  // Markdown

}  // namespace perjoule
