// Runs the collectors: one coroutine per probe for sampling, one per source for discovery. Loop's thread only; the
// calls themselves run on lanes (daemon/base/lane.hpp).
//
// A device that only its driver can name (Probe::identify) is first asked on its own lane; one that hangs then is
// `stuck` under the name that discovery gave it. While a source with numbered devices has fewer than expected,
// discovery is repeated every few seconds, so that a board that comes back is read within ten.
//
// A call that has not returned at its deadline counts as a timeout (state `stuck`); its lane is left alone, and ticks
// count as missed until the call returns, whose result is then discarded. A probe never has two calls at once and never
// catches up in a burst. For every probe: samples + timeouts + missed = ticks.
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

// Called with the delay of each call's start after its due time.
using OnLateness = std::function<void(std::int64_t nanoseconds)>;

class Sampler {
 public:
  // All references outlive the sampler. `inventory` gives the devices of all sources their slot numbers.
  Sampler(asio::io_context& loop, Clock& clock, MakeLane make_lane, Recorder& recorder, Sources& sources,
          OnLateness on_lateness = {}, std::shared_ptr<Inventory> inventory = std::make_shared<Inventory>());
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void start(const Entry& entry, const config::CollectorSettings& settings, const Roots& roots);
  // Ends the coroutines of the source of that name and removes its series. A call in progress is abandoned: it runs to
  // its end, and its result is discarded.
  void stop(std::string_view name);
  void stop_all();
  [[nodiscard]] std::vector<std::string> running() const;

 private:
  struct Source;
  struct Run;
  struct Call;
  struct Discovery;
  struct Identified;

  asio::awaitable<void> discover(std::shared_ptr<Source> source);
  asio::awaitable<void> discover(std::shared_ptr<Source> source, std::shared_ptr<Discovery> found);
  [[nodiscard]] std::int64_t discovery_wait_ns(const Source& source) const;
  void discovery_hangs(Source& source, const DiscoveryCall::State& in);
  void merge(const std::shared_ptr<Source>& source, Discovery& found);
  void forget_gone(const Source& source);
  static void discard(Source& source, std::shared_ptr<Discovery> found);
  void open_probe(const std::shared_ptr<Source>& source, Probe probe);
  void watch(const std::shared_ptr<Source>& source, const std::shared_ptr<Run>& run, Probe probe);
  asio::awaitable<void> identify(std::shared_ptr<Source> source, std::shared_ptr<Run> run,
                                 std::function<Result<Probe>()> ask);
  void identified(const std::shared_ptr<Source>& source, const std::shared_ptr<Run>& run, Identified& answer);
  asio::awaitable<void> sample(std::shared_ptr<Source> source, std::shared_ptr<Run> run);
  asio::awaitable<void> call(std::shared_ptr<Source> source, std::shared_ptr<Run> run);
  void finish(Source& source, Run& run, const Call& ended);
  void failed(const Source& source, std::string_view device, const Error& error, std::int64_t duration_ns);
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
