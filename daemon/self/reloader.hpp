// Reads the configuration again, on a lane, because its files may lie on a disk that does not answer. Reports what came
// of it to the log, the service manager, perjoule_config_last_reload_successful and those who asked.
//
// One reading at a time. What is asked for during one is answered by a second one after it, because the files may have
// changed since. A reading that takes longer than hangs_after_ns counts as failed; it goes on, and what it finds is
// applied when it returns. Loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/base/log.hpp"
#include "daemon/self/instruments.hpp"
#include "daemon/self/service.hpp"

namespace perjoule {

class Reloader {
 public:
  static constexpr std::int64_t hangs_after_ns = 5 * nanoseconds_per_second;

  enum class Outcome : std::uint8_t { accepted, refused, hangs };
  using Done = std::function<void(Outcome)>;

  struct Found {
    std::string refusals;         // why the configuration cannot be used; "" if it can
    std::function<void()> apply;  // makes it the running one, on the loop
  };
  // Called on the lane; owns what it uses.
  using Read = std::function<Found()>;

  struct Parts {
    Clock& clock;
    Log& log;
    Instruments& instruments;
    Service& service;
    std::unique_ptr<Lane> lane;
    Read read;
  };
  explicit Reloader(Parts parts) : parts_(std::move(parts)) {}

  // `done` is called once, when the configuration was applied or refused, or when its reading hangs; not after the
  // destructor. The callers bound how many wait.
  void request(Done done = {});
  // To be called each second: notices a reading that hangs.
  void watch();

 private:
  void begin();
  void finish(const Found& found);
  void settle(Outcome outcome, std::string_view trouble);

  Parts parts_;
  std::int64_t began_ns_ = 0;
  bool reading_ = false;
  bool hangs_ = false;            // the reading under way was reported as one that hangs
  bool again_ = false;            // another one is needed after it
  std::vector<Done> asked_;       // answered by the reading under way
  std::vector<Done> asked_next_;  // answered by the one after it
};

}  // namespace perjoule
