// The interface between the daemon and everything that reads a device.
//
// A source (one line of registry.def) is an Entry. Its `make` searches the host and returns one Probe per device that
// it found. Each probe gets a lane (a thread) of its own, so a device that hangs costs its own series only. `make` runs
// on a lane too, once at the start and again every minute (hot-plug): it lists directories and reads names, and leaves
// the first read of a value to `sample`. The daemon owns probes and collectors; an Entry is a constant.
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
  // Appends what it read to `batch`, which is empty at the call. May block; never called twice at once. Keep what
  // succeeded: report an item that failed with batch.fault(), and return an error only when nothing could be read.
  [[nodiscard]] virtual Result<void> sample(Batch& batch) = 0;
};

struct Probe {
  std::string device;  // identity of what it reads ("package-0", "nvme0"); "" when the source has only one device
  std::unique_ptr<Collector> collector;
  // True where instantaneous power is integrated: due times are then spread, so that sampling does not run in step with
  // a periodic load and see only its peaks or only its troughs.
  bool jitter = false;
};

// Passed to the discovery of a source whose devices have numbers (GPUs).
struct DiscoveryContext {
  std::shared_ptr<Inventory> inventory;  // never null
  std::vector<std::string> watched;      // devices that already have a probe: discovery must not call their driver
};

struct Entry {
  std::string_view name;  // as in configuration, flags and the `source` label
  std::string_view help;  // one sentence: what it reads, from where
  std::span<const Metric* const> metrics;
  std::span<const Option> options;
  bool enabled = true;
  std::chrono::milliseconds period{1000};
  std::chrono::milliseconds deadline{900};
  // Errors: absent when this host has no such device; denied when it has one that the daemon may not read (`remedy` is
  // the command that grants it).
  Result<std::vector<Probe>> (*make)(const Options& options, const Roots& roots) = nullptr;
  // Instead of `make`, for a source whose devices have numbers and may hang when their identity is read: it returns no
  // probe for devices that are in `context.watched`.
  Result<std::vector<Probe>> (*make_numbered)(const Options& options, const Roots& roots,
                                              const DiscoveryContext& context) = nullptr;
};

}  // namespace perjoule
