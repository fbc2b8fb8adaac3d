// A lane: a thread for calls that may block for ever.
//
// A call inside a driver can hang in D state, where it cannot be interrupted by a signal; killing the process in that
// state has frozen GPUs until reboot (NVIDIA/dcgm-exporter issue 84). So a lane is a detached thread that owns its
// state: the caller stops waiting at its deadline and leaves the thread running; when the call returns, the lane is
// free again. All functions are called on the loop's thread; only `work` runs on the lane's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "collectors/result.hpp"

namespace perjoule {

namespace asio = boost::asio;

// Loop's thread only.
class Lane {
 public:
  virtual ~Lane() = default;
  [[nodiscard]] virtual bool busy() const = 0;
  // Requires !busy(). Runs `work` on the lane's thread, then `done` on the loop. Both must own everything they use,
  // because they may run after the lane's owner is destroyed. Once the lane is destroyed, `done` is no longer called;
  // work that has started still runs to its end. False: the thread could not be created (thread_error()); neither is
  // called, the lane is not busy, and the next start tries again.
  [[nodiscard]] virtual bool start(std::function<void()> work, std::function<void()> done) = 0;
};

using MakeLane = std::function<std::unique_ptr<Lane>()>;

// What to report when start() returned false.
[[nodiscard]] Error thread_error();

// Makes lanes with real threads and counts the live threads, so that the daemon knows at its end whether one hangs.
class LaneThreads {
 public:
  explicit LaneThreads(asio::io_context& loop);
  // Collectors need little stack; the default of 8 MiB would waste address space on hosts with a hundred probes.
  static constexpr std::size_t small_stack_bytes = 256 * 1024;
  [[nodiscard]] std::unique_ptr<Lane> make(std::size_t stack_bytes = small_stack_bytes);
  // Waits until the threads of all lanes have ended; every lane must have been destroyed before. False when a thread is
  // still inside a call at the deadline.
  [[nodiscard]] bool drain(std::chrono::milliseconds deadline);

 private:
  struct Alive;
  class ThreadLane;
  asio::io_context& loop_;
  std::shared_ptr<Alive> alive_;
};

}  // namespace perjoule
