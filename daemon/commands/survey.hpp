// Samples every enabled source for a moment, without writing storage and without HTTP, for `once` and `doctor`. Runs a
// loop of its own on the caller's thread.
//
// Blocks for about `calls` periods of one second, at most `limit` plus 0.5 s for the lanes to end. A source that hangs
// shows as stuck.
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
  std::int64_t steady_ns = 0;  // the end of the survey, at which staleness is judged
  std::int64_t wall_ms = 0;
  bool lanes_ended = true;  // false: a call still hangs, and the process must exit without waiting for it
};

[[nodiscard]] std::unique_ptr<Survey> survey(const config::Settings& settings, unsigned calls,
                                             std::chrono::milliseconds limit);

}  // namespace perjoule
