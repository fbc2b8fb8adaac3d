// Samples every enabled source for a moment, without writing storage and without HTTP, for `once` and `doctor`. Runs a
// loop of its own on the caller's thread.
//
// Blocks for about `calls` periods of one second, at most `limit` plus 0.5 s for the lanes to end. A source that hangs
// shows as stuck.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "collectors/inventory.hpp"
#include "config/loader.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

struct Survey {
  Latest latest;
  std::vector<SourceStatus> sources;
  std::vector<Inventory::Board> boards;  // every GPU that is known, by slot, whether it answers or not
  std::size_t gpus_answering = 0;
  std::size_t gpus_expected = 0;
  std::int64_t steady_ns = 0;  // the end of the survey, at which staleness is judged
  std::int64_t wall_ms = 0;
  bool lanes_ended = true;  // false: a call still hangs, and the process must exit without waiting for it
};

struct SurveyPlan {
  unsigned calls = 1;                         // of every device
  std::chrono::milliseconds limit{6000};      // for all of them
  std::chrono::milliseconds call_limit{900};  // for one, if the source's deadline is not shorter
  bool use_deadlines = true;                  // false: `call_limit` alone holds
  // Set: called when the survey is done, and then each second with new samples, until SIGINT or SIGTERM.
  std::function<void(const Survey&)> each_second = {};
  // Set: makes the next second of a recorded host the one that is read (replay.hpp). Called half a second before the
  // first readings, and then between those of one second and of the next. False: there is none, and each_second ends.
  std::function<bool()> next_second = {};
};

[[nodiscard]] std::unique_ptr<Survey> survey(const config::Settings& settings, const SurveyPlan& plan);

// Writes out what was printed. Returns `code`, or exits with it if a lane still hangs in a driver: its thread cannot be
// ended, and a normal exit would destroy objects that it uses.
int leave(const Survey& survey, int code);

}  // namespace perjoule
