#include "daemon/base/line_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

namespace perjoule {

namespace {

// Lines of all writers that are not written yet. A handler of a fatal signal can use nothing but a global.
std::atomic<std::uint64_t> unwritten = 0;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Waits as long as the descriptor needs; also where another process has made it non-blocking. False: write(2) failed.
bool write_whole(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd room{descriptor, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// SA_RESETHAND has restored the default action, which ends the process when this handler returns.
extern "C" void wait_for_the_writers(int number) {
  constexpr int step_ms = 5;
  const int error = errno;
  for (int waited = 0; unwritten > 0 && waited < LineWriter::flush_limit.count(); waited += step_ms)
    ::poll(nullptr, 0, step_ms);
  errno = error;
  static_cast<void>(::raise(number));
}

}  // namespace

struct LineWriter::Shared {
  struct Line {
    std::string text;
    std::uint64_t lost_before = 0;
  };

  Shared(int to, LostLine line_of) : descriptor(to), lost_line(std::move(line_of)) {}

  int descriptor;
  LostLine lost_line;
  std::mutex mutex;
  std::condition_variable pushed;
  std::condition_variable written;
  std::deque<Line> lines;
  std::size_t bytes = 0;   // of `lines` and of the one that is being written
  std::uint64_t lost = 0;  // after the last of `lines`
  bool full = false;
  bool closed = false;
  std::atomic<std::uint64_t> dropped = 0;

  // Under the mutex.
  [[nodiscard]] bool takes(std::size_t size) {
    full = bytes + size > (full ? bytes_max / 2 : bytes_max);
    return !full;
  }

  void run() {
    std::uint64_t unsaid = 0;
    const auto say_lost = [&] {
      if (unsaid > 0 && write_whole(descriptor, lost_line(unsaid))) unsaid = 0;
    };
    std::unique_lock lock(mutex);
    for (;;) {
      pushed.wait(lock, [this] { return !lines.empty() || closed; });
      if (lines.empty()) return;
      const Line line = std::move(lines.front());
      lines.pop_front();
      lock.unlock();
      unsaid += line.lost_before;
      say_lost();
      if (!write_whole(descriptor, line.text)) {
        ++unsaid;
        ++dropped;
      }
      lock.lock();
      if (lines.empty() && lost > 0) {  // no further line may come for hours
        unsaid += std::exchange(lost, 0);
        lock.unlock();
        say_lost();
        lock.lock();
      }
      bytes -= line.text.size();
      --unwritten;
      written.notify_all();
    }
  }
};

LineWriter::LineWriter(int descriptor, LostLine lost_line)
    : shared_(std::make_shared<Shared>(descriptor, std::move(lost_line))) {
  std::thread([shared = shared_] { shared->run(); }).detach();
}

LineWriter::~LineWriter() {
  flush();
  const std::lock_guard lock(shared_->mutex);
  shared_->closed = true;
  shared_->pushed.notify_one();
}

void LineWriter::push(std::string line) {
  if (line.empty()) return;
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->takes(line.size())) {
      ++shared_->lost;
      ++shared_->dropped;
      return;
    }
    shared_->bytes += line.size();
    shared_->lines.push_back({std::move(line), std::exchange(shared_->lost, 0)});
    ++unwritten;
  }
  shared_->pushed.notify_one();
}

bool LineWriter::flush() {
  std::unique_lock lock(shared_->mutex);
  return shared_->written.wait_for(lock, flush_limit, [this] { return shared_->bytes == 0; });
}

std::uint64_t LineWriter::dropped() const {
  return shared_->dropped;
}

void write_lines_before_a_crash() {
  for (const int number : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV}) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = wait_for_the_writers;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace perjoule
