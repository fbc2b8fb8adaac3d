// The seam between the daemon and everything that reads a device.
//
// A source (one line of registry.def) is an Entry. Its `make` looks at the host and returns one Probe per device that
// it watches: each probe gets a lane (a thread) of its own, so a device that hangs costs its own series only. `make`
// runs on a lane too, once at the start and again each minute (hot-plug): it lists directories and reads names, but
// leaves the first read of a value to `sample`.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/batch.hpp"
#include "collectors/inventory.hpp"
#include "collectors/metric.hpp"
#include "collectors/result.hpp"
#include "config/options.hpp"
#include "config/roots.hpp"

namespace perjoule {

class Collector {
 public:
  virtual ~Collector() = default;
  // Appends what it read to `batch`, which comes empty. May block; never called twice at once. Keep what succeeded: an
  // item that failed goes to batch.fault() and the others stay. Returns an error only when nothing could be read.
  [[nodiscard]] virtual Result<void> sample(Batch& batch) = 0;
};

struct Probe {
  std::string device;  // identity of what it watches ("package-0", "nvme0"); "" when the source has only one
  std::unique_ptr<Collector> collector;
  bool jitter = false;  // what it reads is integrated from instantaneous power: due times are spread against aliasing
};

// What a source whose devices have numbers is given for its discovery.
struct DiscoveryContext {
  std::shared_ptr<Inventory> inventory;  // never null
  std::vector<std::string> watched;      // devices of this source that have a probe: nothing is to be asked of them
};

struct Entry {
  std::string_view name;  // the word in configuration, flags and the `source` label
  std::string_view help;  // one sentence: what it reads, from where
  std::span<const Metric* const> metrics;
  std::span<const Option> options;
  bool enabled = true;
  std::chrono::milliseconds period{1000};
  std::chrono::milliseconds deadline{900};
  // Error absent: this host has no such device. Error denied: it has one, and may not be read (remedy says the
  // command).
  Result<std::vector<Probe>> (*make)(const Options& options, const Roots& roots) = nullptr;
  // Instead of `make`, for a source whose devices have numbers and may hang when they are asked who they are: it gives
  // no probe for what is watched already.
  Result<std::vector<Probe>> (*make_numbered)(const Options& options, const Roots& roots,
                                              const DiscoveryContext& context) = nullptr;
};

}  // namespace perjoule
