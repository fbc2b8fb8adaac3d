// The interface between the daemon and everything that reads a device.
//
// A source (one line of registry.def) is an Entry. Its `make` searches the host and returns one Probe per device that
// it found. Each probe gets a lane (a thread) of its own, so a device that hangs costs its own series only. `make` runs
// on a lane too, once at the start and again every minute (hot-plug): it lists directories and reads names, and asks no
// device: the first call of a device's driver is `identify` or `sample`. The daemon owns probes and collectors; an
// Entry is a constant.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
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
  // Set where only the driver can say which device this is; `collector` is then null, and `device` the name under which
  // it shows until then. Runs once, on the probe's own lane because it may hang, and returns the complete probe.
  std::function<Result<Probe>()> identify = {};
};

// What a discovery waits for, so that a call that hangs can be named. Thread-safe: discovery writes, the loop reads.
class DiscoveryCall {
 public:
  struct State {
    std::string call;                  // the driver's function; "" when none has begun
    std::vector<std::string> devices;  // that cannot be read before it returns
  };
  void begin(State state);
  [[nodiscard]] State state() const;

 private:
  mutable std::mutex mutex_;
  State state_;
};

// Passed to the discovery of a source whose devices have numbers (GPUs).
struct DiscoveryContext {
  std::shared_ptr<Inventory> inventory;  // never null
  std::vector<std::string> watched;      // devices that have a probe: discovery returns none for them
  std::shared_ptr<DiscoveryCall> call;   // never null
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
  // Instead of `make`, for a source whose devices have numbers and may hang when their identity is read.
  Result<std::vector<Probe>> (*make_numbered)(const Options& options, const Roots& roots,
                                              const DiscoveryContext& context) = nullptr;
};

}  // namespace perjoule
