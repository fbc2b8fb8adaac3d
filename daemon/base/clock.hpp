// Time as a parameter: the loop reads a Clock and waits on Alarms only, so that tests can run it on virtual time.
//
// `now` is thread-safe; `alarm` and alarms belong to the loop's thread. Times are nanoseconds of Stamp::steady_ns.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>

#include "collectors/sample.hpp"

namespace perjoule {

namespace asio = boost::asio;

inline constexpr std::int64_t nanoseconds_per_millisecond = 1'000'000;
inline constexpr std::int64_t nanoseconds_per_second = 1'000'000'000;

// One waiter at a time.
class Alarm {
 public:
  virtual ~Alarm() = default;
  // Resumes at `steady_ns`, or earlier on wake(). A wake() that comes while no coroutine waits ends the next wait at
  // once, so that no wake-up is lost.
  virtual asio::awaitable<void> wait_until(std::int64_t steady_ns) = 0;
  virtual void wake() = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Stamp now() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Alarm> alarm() = 0;
};

class SystemClock : public Clock {
 public:
  explicit SystemClock(asio::io_context& loop) : loop_(loop) {}
  [[nodiscard]] Stamp now() const override;
  [[nodiscard]] std::unique_ptr<Alarm> alarm() override;

 private:
  asio::io_context& loop_;
};

}  // namespace perjoule
