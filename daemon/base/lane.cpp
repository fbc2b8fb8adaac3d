#include "daemon/base/lane.hpp"

#include <pthread.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace perjoule {

struct LaneThreads::Alive {
  std::mutex mutex;
  std::condition_variable ended;
  int count = 0;
};

class LaneThreads::ThreadLane : public Lane {
 public:
  ThreadLane(asio::io_context& loop, std::shared_ptr<Alive> alive, std::size_t stack_bytes)
      : shared_(std::make_shared<Shared>(loop, std::move(alive))), stack_bytes_(stack_bytes) {}

  ~ThreadLane() override {
    std::function<void()> dropped;  // destroys `done` on the loop's thread, after the mutex is released
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    dropped.swap(shared_->done);
    shared_->wake.notify_one();
  }
  ThreadLane(const ThreadLane&) = delete;
  ThreadLane& operator=(const ThreadLane&) = delete;

  [[nodiscard]] bool busy() const override { return shared_->busy; }

  [[nodiscard]] bool start(std::function<void()> work, std::function<void()> done) override {
    if (!started_) started_ = launch(shared_, stack_bytes_);
    if (!started_) return false;
    shared_->busy = true;
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->work = std::move(work);
      shared_->done = std::move(done);
    }
    shared_->wake.notify_one();  // after unlocking, so that the woken thread does not block on the mutex at once
    return true;
  }

 private:
  struct Shared {
    Shared(asio::io_context& io, std::shared_ptr<Alive> threads) : loop(io), alive(std::move(threads)) {}
    asio::io_context& loop;
    std::shared_ptr<Alive> alive;
    std::mutex mutex;
    std::condition_variable wake;
    std::function<void()> work;
    std::function<void()> done;  // called and destroyed on the loop's thread only
    bool closed = false;
    std::atomic<bool> busy = false;
  };

  static bool launch(const std::shared_ptr<Shared>& shared, std::size_t stack_bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    auto* argument = new std::shared_ptr<Shared>(shared);
    {
      const std::lock_guard lock(shared->alive->mutex);
      ++shared->alive->count;
    }
    pthread_t thread{};
    const int error = pthread_create(&thread, &attributes, &ThreadLane::body, argument);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
      delete argument;
      end(*shared->alive);
      return false;
    }
    return true;
  }

  static void end(Alive& alive) {
    const std::lock_guard lock(alive.mutex);
    --alive.count;
    alive.ended.notify_all();
  }

  static void* body(void* argument) {
    std::shared_ptr<Alive> alive;
    {
      auto* owner = static_cast<std::shared_ptr<Shared>*>(argument);
      const std::shared_ptr<Shared> shared = *owner;
      delete owner;
      alive = shared->alive;
      run(shared);
    }
    end(*alive);
    return nullptr;
  }

  static void run(const std::shared_ptr<Shared>& shared) {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock lock(shared->mutex);
        shared->wake.wait(lock, [&] { return shared->work || shared->closed; });
        if (!shared->work) return;
        work = std::exchange(shared->work, nullptr);
      }
      work();
      work = nullptr;
      const std::lock_guard lock(shared->mutex);
      if (shared->closed) return;
      asio::post(shared->loop, [shared] {
        shared->busy = false;
        // `done` is empty when the lane was destroyed in the meantime.
        if (const auto done = std::exchange(shared->done, nullptr)) done();
      });
    }
  }

  std::shared_ptr<Shared> shared_;
  std::size_t stack_bytes_;
  bool started_ = false;
};

Error thread_error() {
  return {Fault::transient, "no thread could be created for this call (EAGAIN)",
          "raise TasksMax= of the unit, the container's pids limit or ulimit -u; it is tried again by itself"};
}

LaneThreads::LaneThreads(asio::io_context& loop) : loop_(loop), alive_(std::make_shared<Alive>()) {}

std::unique_ptr<Lane> LaneThreads::make(std::size_t stack_bytes) {
  return std::make_unique<ThreadLane>(loop_, alive_, stack_bytes);
}

bool LaneThreads::drain(std::chrono::milliseconds deadline) {
  std::unique_lock lock(alive_->mutex);
  return alive_->ended.wait_for(lock, deadline, [&] { return alive_->count == 0; });
}

}  // namespace perjoule
