// The instruments in the history: every 15 s all counters and gauges, every 60 s the histograms by their parts, as
// Prometheus stores them (NAME_bucket with the label `le`, NAME_sum, NAME_count). And `up`, which only the history has:
// 1 as long as the daemon runs, so that its outages are seen. Loop's thread only.
#pragma once

#include "collectors/metric.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule {

inline constexpr Metric up{.name = "up",
                           .unit = Unit::none,
                           .kind = Kind::gauge,
                           .persisted = false,
                           .help = "1 while perjouled runs; in the history only, /metrics has no such series.",
                           .labels = {},
                           .label_count = 0,
                           .storage_step = 0};

void keep_instruments(Recorder& recorder, const Instruments& instruments, bool histograms);

}  // namespace perjoule
