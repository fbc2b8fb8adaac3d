// A stand-in of the daemon's loop, for tests of code that posts to it.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "storage/writer.hpp"

namespace perjoule::storage {

// Runs the posted functions, on the test's thread.
class Loop {
 public:
  Writer::Post post() {
    return [this](std::function<void()> function) {
      {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(function));
      }
      arrived_.notify_all();
    };
  }
  // A timeout in case the writer never answers; a test that passes does not wait for it.
  void run_one() {
    std::unique_lock lock(mutex_);
    REQUIRE(arrived_.wait_for(lock, std::chrono::seconds(60), [this] { return !posted_.empty(); }));
    auto function = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    function();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
};

}  // namespace perjoule::storage
