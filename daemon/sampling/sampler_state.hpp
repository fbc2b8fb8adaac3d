// What the sampler keeps of sources and probes; private to sampler.cpp and discovery.cpp. Loop's thread only, but for
// what a lane writes before its `done`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/sampling/sampler.hpp"

namespace perjoule {

// One call of a collector, shared by the coroutine that waits and the lane that runs it; the last owner frees it.
struct Sampler::Call {
  std::shared_ptr<Collector> collector;
  Batch batch;
  Result<void> result;
  Stamp started;
  Stamp ended;
  bool done = false;
};

// The answer to Probe::identify.
struct Sampler::Identified {
  Result<Probe> probe = Error{};
  std::int64_t duration_ns = 0;
  bool done = false;
};

struct Sampler::Discovery {
  std::shared_ptr<DiscoveryCall> call = std::make_shared<DiscoveryCall>();
  Result<std::vector<Probe>> probes = Error{};
  std::int64_t duration_ns = 0;
  bool done = false;
};

struct Sampler::Run {
  std::string device;
  std::shared_ptr<Collector> collector;
  std::unique_ptr<Lane> lane;
  std::shared_ptr<Alarm> alarm;
  std::shared_ptr<Call> call;
  std::optional<ProbeId> probe;  // none until the device is identified
  bool jitter = false;
  bool stopped = false;
};

struct Sampler::Source {
  const Entry* entry = nullptr;
  config::CollectorSettings settings;
  Roots roots;
  std::unique_ptr<Lane> lane;
  std::shared_ptr<Alarm> alarm;
  std::map<std::string, std::shared_ptr<Run>> runs;  // by device
  std::vector<std::string> hung;                     // devices that are `stuck` because discovery hangs
  std::int64_t backoff_ns = 0;
  bool rebuild = false;
  bool stopped = false;
};

}  // namespace perjoule
