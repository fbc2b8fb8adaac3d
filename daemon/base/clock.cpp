#include "daemon/base/clock.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <ctime>

namespace perjoule {

namespace {

std::int64_t read_clock(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return std::int64_t{time.tv_sec} * nanoseconds_per_second + time.tv_nsec;
}

class SystemAlarm : public Alarm {
 public:
  explicit SystemAlarm(asio::io_context& loop) : timer_(loop) {}

  asio::awaitable<void> wait_until(std::int64_t steady_ns) override {
    if (!rung_) {
      // The timer runs on CLOCK_MONOTONIC and timestamps on CLOCK_BOOTTIME, so the wait is given as a duration.
      const std::int64_t distance = std::max<std::int64_t>(steady_ns - read_clock(CLOCK_BOOTTIME), 0);
      timer_.expires_after(std::chrono::nanoseconds(distance));
      waiting_ = true;
      boost::system::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      waiting_ = false;
    }
    rung_ = false;
  }

  void wake() override {
    rung_ = true;
    if (waiting_) timer_.cancel();
  }

 private:
  asio::steady_timer timer_;
  bool waiting_ = false;
  bool rung_ = false;
};

}  // namespace

Stamp SystemClock::now() const {
  return {read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_REALTIME) / nanoseconds_per_millisecond};
}

std::unique_ptr<Alarm> SystemClock::alarm() {
  return std::make_unique<SystemAlarm>(loop_);
}

}  // namespace perjoule
