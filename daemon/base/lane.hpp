// A thread for calls that may block for ever.
//
// A call inside a driver can hang in D state, where no signal reaches it; killing the process then has frozen GPUs
// until reboot (dcgm-exporter#84). So a lane is a detached thread that owns its state: whoever started the call stops
// waiting at a deadline and leaves the thread alone; when the call returns, the lane is free again by itself.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace perjoule {

namespace asio = boost::asio;

// Loop's thread only.
class Lane {
 public:
  virtual ~Lane() = default;
  [[nodiscard]] virtual bool busy() const = 0;
  // Requires !busy(). Runs `work` elsewhere, then `done` on the loop. Both own all that they touch: they may run after
  // everybody else has gone. After the lane is destroyed `done` is not called; work that was started still runs.
  virtual void start(std::function<void()> work, std::function<void()> done) = 0;
};

using MakeLane = std::function<std::unique_ptr<Lane>()>;

// Makes lanes with threads, and knows how many are still alive, so that the daemon can end in good order.
class LaneThreads {
 public:
  explicit LaneThreads(asio::io_context& loop);
  // Collectors read small files; the usual 8 MiB would be address space for nothing on hosts with a hundred probes.
  static constexpr std::size_t small_stack_bytes = 256 * 1024;
  [[nodiscard]] std::unique_ptr<Lane> make(std::size_t stack_bytes = small_stack_bytes);
  // Waits until the threads of all destroyed lanes have ended; false when one is still inside a call at the deadline.
  [[nodiscard]] bool drain(std::chrono::milliseconds deadline);

 private:
  struct Alive;
  class ThreadLane;
  asio::io_context& loop_;
  std::shared_ptr<Alive> alive_;
};

}  // namespace perjoule
