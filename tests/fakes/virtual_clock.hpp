// Virtual time, advanced by the test alone. Alarms expire when `run_until` reaches their time, in order, on one thread.
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"

namespace perjoule::fakes {

class VirtualClock : public Clock {
 public:
  VirtualClock(asio::io_context& loop, Stamp start)
      : loop_(loop), now_(start), wall_offset_ns_(start.wall_ms * 1'000'000 - start.steady_ns) {}

  [[nodiscard]] Stamp now() const override { return now_; }
  [[nodiscard]] std::unique_ptr<Alarm> alarm() override { return std::make_unique<VirtualAlarm>(*this); }

  // Calls `event` when the clock reaches `steady_ns`; immediately if that is in the past.
  void at(std::int64_t steady_ns, std::function<void()> event) {
    events_.emplace(std::pair(std::max(steady_ns, now_.steady_ns), sequence_++), std::move(event));
  }
  void step_wall(std::int64_t milliseconds) {
    wall_offset_ns_ += milliseconds * 1'000'000;
    move(now_.steady_ns);
  }
  // The loop stalls for this long: everything due in between happens late.
  void stall(std::int64_t nanoseconds) { move(now_.steady_ns + nanoseconds); }

  void run_until(std::int64_t steady_ns) {
    for (;;) {
      drain();
      if (events_.empty() || events_.begin()->first.first > steady_ns) break;
      auto event = events_.extract(events_.begin());
      if (event.key().first > now_.steady_ns) move(event.key().first);
      event.mapped()();
    }
    if (steady_ns > now_.steady_ns) move(steady_ns);
  }

 private:
  class VirtualAlarm : public Alarm {
   public:
    explicit VirtualAlarm(VirtualClock& clock) : clock_(clock), waiter_(std::make_shared<Waiter>(clock.loop_)) {}

    asio::awaitable<void> wait_until(std::int64_t steady_ns) override {
      const std::shared_ptr<Waiter> waiter = waiter_;
      if (!waiter->woken) {
        const std::uint64_t wait = ++waiter->wait;
        clock_.at(steady_ns, [waiter, wait] {
          if (waiter->wait == wait) waiter->timer.cancel();
        });
        waiter->timer.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code ignored;
        waiter->waiting = true;
        co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        waiter->waiting = false;
        ++waiter->wait;
      }
      waiter->woken = false;
    }
    void wake() override {
      waiter_->woken = true;
      if (waiter_->waiting) waiter_->timer.cancel();
    }

   private:
    struct Waiter {
      explicit Waiter(asio::io_context& loop) : timer(loop) {}
      asio::steady_timer timer;
      std::uint64_t wait = 0;
      bool waiting = false;
      bool woken = false;
    };
    VirtualClock& clock_;
    std::shared_ptr<Waiter> waiter_;
  };

  void move(std::int64_t steady_ns) {
    now_.steady_ns = steady_ns;
    now_.wall_ms = (steady_ns + wall_offset_ns_) / 1'000'000;
  }
  void drain() {
    do {
      loop_.restart();
    } while (loop_.poll() > 0);
  }

  asio::io_context& loop_;
  Stamp now_;
  std::int64_t wall_offset_ns_;
  std::uint64_t sequence_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> events_;
};

// A lane on virtual time: the work runs at once, and its result arrives `duration(now)` later.
class VirtualLane : public Lane {
 public:
  using Duration = std::function<std::int64_t()>;
  VirtualLane(VirtualClock& clock, Duration duration) : clock_(clock), duration_(std::move(duration)) {}
  ~VirtualLane() override { state_->closed = true; }
  VirtualLane(const VirtualLane&) = delete;
  VirtualLane& operator=(const VirtualLane&) = delete;

  [[nodiscard]] bool busy() const override { return state_->busy; }
  [[nodiscard]] bool start(std::function<void()> work, std::function<void()> done) override {
    state_->busy = true;
    work();
    clock_.at(clock_.now().steady_ns + duration_(), [state = state_, done = std::move(done)] {
      state->busy = false;
      if (!state->closed && done) done();
    });
    return true;
  }

 private:
  struct State {
    bool busy = false;
    bool closed = false;
  };
  VirtualClock& clock_;
  Duration duration_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace perjoule::fakes
