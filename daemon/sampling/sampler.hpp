// Runs the collectors: one coroutine per probe, one that looks for devices per source. Loop's thread only.
//
// A call gets until its deadline; then its tick is over (`stuck`), the lane is left alone and ticks are counted as
// missed until the call returns. Never two calls of one probe at once, never a burst to catch up. For every probe:
// samples + timeouts + missed = ticks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/collector.hpp"
#include "config/settings.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/base/schedule.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

// How late a call began after its due time.
using OnLateness = std::function<void(std::int64_t nanoseconds)>;

class Sampler {
 public:
  // `inventory` numbers the devices of all sources.
  Sampler(asio::io_context& loop, Clock& clock, MakeLane make_lane, Recorder& recorder, Sources& sources,
          OnLateness on_lateness = {}, std::shared_ptr<Inventory> inventory = std::make_shared<Inventory>());
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void start(const Entry& entry, const config::CollectorSettings& settings, const Roots& roots);
  // Ends the coroutines of the source of that name and takes its series out. A call that is under way is abandoned.
  void stop(std::string_view name);
  void stop_all();
  [[nodiscard]] std::vector<std::string> running() const;

 private:
  struct Source;
  struct Run;
  struct Call;
  struct Discovery;

  asio::awaitable<void> discover(std::shared_ptr<Source> source);
  asio::awaitable<void> discover(std::shared_ptr<Source> source, std::shared_ptr<Discovery> found);
  void merge(const std::shared_ptr<Source>& source, Discovery& found);
  void open(const std::shared_ptr<Source>& source, Probe probe);
  asio::awaitable<void> sample(std::shared_ptr<Source> source, std::shared_ptr<Run> run);
  asio::awaitable<void> call(std::shared_ptr<Source> source, std::shared_ptr<Run> run);
  void finish(Source& source, Run& run, const Call& ended);
  static void abandon(Source& source);
  static void retire(Run& run);
  void drop(Source& source, Run& run, bool rebuild);
  void spawn(asio::awaitable<void> coroutine);

  asio::io_context& loop_;
  Clock& clock_;
  MakeLane make_lane_;
  Recorder& recorder_;
  Sources& sources_;
  OnLateness on_lateness_;
  std::shared_ptr<Inventory> inventory_;
  std::map<std::string, std::shared_ptr<Source>, std::less<>> running_;
};

}  // namespace perjoule
