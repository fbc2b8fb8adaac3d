// The status of every source and of each device it watches: state, reason, remedy and counts.
//
// Loop's thread only; the landing page, readiness and `doctor` get copies. State and counts are also series
// (perjoule_source_state, perjoule_collector_*) of the daemon's own (Recorder::show_own), which forget() removes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/record/recorder.hpp"

namespace perjoule {

enum class SourceState : std::uint8_t { ok, absent, denied, error, stuck };
inline constexpr std::array source_states = {SourceState::ok, SourceState::absent, SourceState::denied,
                                             SourceState::error, SourceState::stuck};
[[nodiscard]] std::string_view name(SourceState state);
[[nodiscard]] SourceState state_of(Fault fault);

// An item of a device that gives no value, or gives one again (state ok).
struct SourceItem {
  std::string name;
  ItemState state = ItemState::error;
  std::string what;
  std::string remedy;
};

struct SourceStatus {
  std::string source;
  std::string device;
  std::optional<SourceState> state;  // none: no call has ended or reached its deadline yet
  std::string what;                  // one line: why it is not ok, or the first item that failed
  std::string remedy;
  bool lost = false;                       // the driver said at the last call that the device is lost
  double last_success_seconds = 0;         // 0: never
  std::optional<double> duration_seconds;  // of the last call that returned in time; none before it
  std::uint64_t samples = 0;               // calls that returned in time, with or without an error
  std::uint64_t timeouts = 0;
  std::uint64_t missed = 0;  // due times without a call
  std::uint64_t faults = 0;
  std::optional<ItemCounts> items;        // at the last call; none where it ended without
  std::vector<SourceItem> without_value;  // their names and reasons, at most 64
};

class Sources {
 public:
  // Called at each change of state, with the status before and after the change.
  using OnChange = std::function<void(const SourceStatus& before, const SourceStatus& after)>;
  // Called with the items of a device that have changed their state at a call.
  using OnItems = std::function<void(const SourceStatus& status, std::span<const SourceItem> changed)>;

  Sources(Recorder& recorder, OnChange on_change) : recorder_(recorder), on_change_(std::move(on_change)) {}
  void on_items(OnItems on_items) { on_items_ = std::move(on_items); }

  // The labels gpu and uuid of a device's series; both empty for a device that is no GPU.
  struct GpuLabels {
    std::string gpu;
    std::string uuid;
  };
  using FindGpu = std::function<GpuLabels(std::string_view source, std::string_view device)>;
  // Asked when a device is first seen, and again after forget(). Without it the labels are empty.
  void find_gpus(FindGpu find) { find_gpu_ = std::move(find); }

  struct Call {
    SourceState state = SourceState::ok;
    std::string what;
    std::string remedy;
    double duration_seconds = 0;
    std::uint64_t faults = 0;
    bool lost = false;
    std::optional<ItemCounts> items = {};
    std::vector<SourceItem> without_value = {};
  };
  void sampled(std::string_view source, std::string_view device, const Call& call, const Stamp& stamp);
  void timed_out(std::string_view source, std::string_view device, std::string_view what, const Stamp& stamp);
  void missed(std::string_view source, std::string_view device, std::uint64_t ticks, const Stamp& stamp);
  void expect(std::string_view source, std::string_view device);  // readiness waits for its first call
  void forget(std::string_view source, std::string_view device);
  void forget(std::string_view source);  // with all its devices

  [[nodiscard]] const std::map<std::pair<std::string, std::string>, SourceStatus>& list() const { return list_; }
  // True when every source and device in the list has finished its first call, or so many, or exceeded a deadline; one
  // that is not ok has no more.
  [[nodiscard]] bool settled(std::uint64_t calls = 1) const;

 private:
  // The series that a status may have, in the order of source_states, then last success, duration, faults, missed, then
  // in that of item_states.
  // One that is not shown for an hour is dropped (Recorder::drop_unused), and then looked up again.
  using Ids = std::array<std::optional<SeriesId>, source_states.size() + 4 + item_states.size()>;
  struct Shown {
    GpuLabels board;
    Ids ids;
    bool has_items = false;
  };
  [[nodiscard]] const Ids& ids(const SourceStatus& status);
  SourceStatus& status(std::string_view source, std::string_view device);
  void change(SourceStatus& status, SourceState state, std::string what, std::string remedy, const Stamp& stamp);
  void publish(const SourceStatus& status, const Stamp& stamp);
  void note_items(SourceStatus& status, std::vector<SourceItem> without_value);

  Recorder& recorder_;
  OnChange on_change_;
  OnItems on_items_;
  FindGpu find_gpu_;
  std::map<std::pair<std::string, std::string>, SourceStatus> list_;
  std::unordered_map<const SourceStatus*, Shown> shown_;  // of those in list_
};

}  // namespace perjoule
