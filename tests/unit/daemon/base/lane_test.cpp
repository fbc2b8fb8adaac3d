#include "daemon/base/lane.hpp"

#include <doctest/doctest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

using namespace perjoule;

namespace {

// Records the thread that destroys it.
struct Witness {
  explicit Witness(std::shared_ptr<std::thread::id> where) : at(std::move(where)) {}
  ~Witness() { *at = std::this_thread::get_id(); }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  std::shared_ptr<std::thread::id> at;
};

}  // namespace

TEST_CASE("lane: runs each work on its own thread and done on the loop") {
  asio::io_context loop{1};
  const auto guard = asio::make_work_guard(loop);
  LaneThreads lanes(loop);
  auto lane = lanes.make();
  for (int n = 0; n < 3; ++n) {
    std::thread::id worked;
    std::thread::id done;
    CHECK_FALSE(lane->busy());
    REQUIRE(lane->start([&] { worked = std::this_thread::get_id(); }, [&] { done = std::this_thread::get_id(); }));
    CHECK(lane->busy());
    while (done == std::thread::id())
      loop.run_one();
    CHECK(worked != std::this_thread::get_id());
    CHECK(done == std::this_thread::get_id());
  }
  lane.reset();
  CHECK(lanes.drain(std::chrono::seconds(10)));
}

TEST_CASE("lane: after it is destroyed, done is not called, even if the work had returned before") {
  asio::io_context loop{1};
  LaneThreads lanes(loop);
  int calls = 0;
  for (int n = 0; n < 200; ++n) {
    auto lane = lanes.make();
    std::promise<void> worked;
    REQUIRE(lane->start([&] { worked.set_value(); }, [&] { ++calls; }));
    worked.get_future().wait();
    for (int turn = 0; turn < n; ++turn)
      std::this_thread::yield();  // done may or may not be posted already
    lane.reset();
    loop.restart();
    loop.poll();
  }
  CHECK(lanes.drain(std::chrono::seconds(10)));
  loop.restart();
  loop.poll();
  CHECK(calls == 0);
}

TEST_CASE("lane: objects owned by done are destroyed on the loop's thread, even while the work hangs") {
  asio::io_context loop{1};
  LaneThreads lanes(loop);
  auto lane = lanes.make();
  std::promise<void> returns;
  const auto gone = std::make_shared<std::thread::id>();
  REQUIRE(lane->start([hang = returns.get_future().share()] { hang.wait(); },
                      [witness = std::make_shared<Witness>(gone)] { CHECK(witness); }));
  lane.reset();
  CHECK(*gone == std::this_thread::get_id());
  CHECK_FALSE(lanes.drain(std::chrono::milliseconds(1)));
  returns.set_value();
  CHECK(lanes.drain(std::chrono::seconds(10)));
}

// No thread has a stack as large as the address space, so pthread_create fails as it does at TasksMax.
TEST_CASE("lane: without a thread start() says so, calls nothing and leaves the lane free") {
  asio::io_context loop{1};
  LaneThreads lanes(loop);
  auto lane = lanes.make(std::size_t{1} << 60U);
  int calls = 0;
  for (int n = 0; n < 2; ++n) {
    CHECK_FALSE(lane->start([&] { ++calls; }, [&] { ++calls; }));
    CHECK_FALSE(lane->busy());
  }
  lane.reset();
  CHECK(lanes.drain(std::chrono::milliseconds(0)));
  loop.poll();
  CHECK(calls == 0);
}
