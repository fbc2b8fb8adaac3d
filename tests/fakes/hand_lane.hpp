// A lane whose call the test runs and completes by hand. Until then it keeps its arguments, like a call that hangs.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "daemon/base/lane.hpp"

namespace perjoule::fakes {

class HandLane : public Lane {
 public:
  struct Call {
    std::function<void()> work;
    std::function<void()> done;  // empty after the lane was destroyed
    bool busy = false;
    int calls = 0;
    bool no_thread = false;  // start() then fails

    void run() {
      if (work) std::exchange(work, nullptr)();
    }
    void finish() {
      run();
      busy = false;
      if (done) std::exchange(done, nullptr)();
    }
  };

  explicit HandLane(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~HandLane() override { call_->done = nullptr; }
  HandLane(const HandLane&) = delete;
  HandLane& operator=(const HandLane&) = delete;

  [[nodiscard]] bool busy() const override { return call_->busy; }
  [[nodiscard]] bool start(std::function<void()> work, std::function<void()> done) override {
    if (call_->no_thread) return false;
    call_->work = std::move(work);
    call_->done = std::move(done);
    call_->busy = true;
    ++call_->calls;
    return true;
  }

 private:
  std::shared_ptr<Call> call_;
};

}  // namespace perjoule::fakes
