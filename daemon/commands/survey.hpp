// Looks at every enabled source for a moment, without storage and without HTTP: what `once` and `doctor` print.
//
// Blocks for about `calls` periods of one second, at most `limit`. A source that hangs shows as stuck.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "config/loader.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

struct Survey {
  Latest latest;
  std::vector<SourceStatus> sources;
  std::int64_t steady_ns = 0;  // when it ended: freshness is judged at this time
  std::int64_t wall_ms = 0;
  bool lanes_ended = true;  // false: a call still hangs, and the process has to leave without waiting for it
};

[[nodiscard]] std::unique_ptr<Survey> survey(const config::Settings& settings, unsigned calls,
                                             std::chrono::milliseconds limit);

}  // namespace perjoule
