// The sampler on virtual time: hangs, absent and broken devices, stops. Other tests cover what the collectors read.
#include <random>

#include "tests/unit/daemon/sampling/scripted_source.hpp"

using namespace perjoule;
using namespace perjoule::scripted;

TEST_CASE_FIXTURE(Fixture, "a steady device is called once a period, aligned to the wall clock") {
  begin();
  CHECK_FALSE(sources.settled());
  run(10);
  CHECK(status("a").state == SourceState::ok);
  CHECK_FALSE(listed(""));
  CHECK(sources.settled());
  for (std::size_t i = 0; i < played.calls["a"].size(); ++i)
    CHECK(played.calls["a"][i] == static_cast<std::int64_t>(i + 1) * second_ns);
  CHECK(ticks("a") == 9);  // the call at 10 s has not returned
  CHECK(late_ns == 0);
  CHECK(played.discoveries.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a call that hangs is stuck at its deadline, affects its own series only and recovers") {
  played.devices = {"a", "b"};
  begin();
  run(5);
  played.durations["a"] = 30 * second_ns + 500 * milli_ns;
  run(1);  // the call that hangs begins at 6 s
  played.durations.erase("a");
  clock.run_until(start.steady_ns + 6 * second_ns + 899 * milli_ns);
  CHECK(status("a").state == SourceState::ok);
  clock.run_until(start.steady_ns + 6 * second_ns + 900 * milli_ns);
  CHECK(status("a").state == SourceState::stuck);
  run(10);
  CHECK(status("a").timeouts == 1);
  CHECK(status("a").missed == 10);
  CHECK_FALSE(shown("a"));
  CHECK(status("b").state == SourceState::ok);
  CHECK(shown("b") == 16.0);
  // It returns at 36.5 s. Its result is too old and is discarded.
  clock.run_until(start.steady_ns + 36 * second_ns + 600 * milli_ns);
  CHECK(status("a").state == SourceState::stuck);
  CHECK_FALSE(shown("a"));
  clock.run_until(start.steady_ns + 38 * second_ns);
  CHECK(status("a").state == SourceState::ok);
  CHECK(shown("a") == 7.0);
  CHECK(played.calls["a"].size() == 8);
  run(10);
  CHECK(ticks("a") == 47);
  CHECK(ticks("b") == 47);
}

TEST_CASE_FIXTURE(Fixture, "samples + timeouts + missed = ticks, for calls of any duration") {
  std::mt19937_64 random(71);
  begin();
  for (int i = 0; i < 2000; ++i) {
    played.durations["a"] = static_cast<std::int64_t>(random() % 4 == 0 ? random() % 5000 : random() % 900) * milli_ns;
    if (random() % 50 == 0) clock.stall(static_cast<std::int64_t>(random() % 5000) * milli_ns);
    run(1);
  }
  played.durations["a"] = milli_ns;
  run(10);
  clock.run_until(clock.now().steady_ns / second_ns * second_ns + 500 * milli_ns);
  CHECK(ticks("a") == static_cast<std::uint64_t>((clock.now().steady_ns - start.steady_ns) / second_ns));
  CHECK(status("a").timeouts > 0);
  CHECK(status("a").missed > status("a").timeouts);
  // No burst: after a stall at most two calls follow each other, the late one and the one that is due.
  for (std::size_t i = 2; i < played.calls["a"].size(); ++i)
    CHECK(played.calls["a"][i] / second_ns > played.calls["a"][i - 2] / second_ns);
}

TEST_CASE_FIXTURE(Fixture, "a device that breaks is rebuilt, at first at once, then with back-off") {
  begin();
  run(20);
  played.errors["a"] = Error{Fault::broken, "EBADF"};
  run(150);
  CHECK(status("a").state == SourceState::error);
  CHECK(status("a").what == "EBADF");
  std::vector<std::int64_t> gaps;
  for (std::size_t i = 2; i < played.discoveries.size(); ++i)
    gaps.push_back((played.discoveries[i] - played.discoveries[i - 1] + second_ns / 2) / second_ns);
  CHECK(played.discoveries[1] / second_ns == 21);
  // A discovery does not reset the back-off while the device keeps breaking: 5 s, doubled each time, up to a minute.
  CHECK(gaps == std::vector<std::int64_t>{10, 20, 40, 60});
  played.errors.clear();
  run(120);
  CHECK(status("a").state == SourceState::ok);
  // After a minute without a failure, the next one is rebuilt at once again.
  const std::size_t discoveries = played.discoveries.size();
  const std::size_t calls = played.calls["a"].size();
  played.errors["a"] = Error{Fault::broken, "EBADF"};
  run(1);
  played.errors.clear();
  run(8);
  CHECK(played.discoveries.size() > discoveries);
  CHECK(played.calls["a"].size() >= calls + 2);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "errors of a call: transient errors are counted, denied errors name the remedy") {
  begin();
  run(3);
  played.errors["a"] = Error{Fault::transient, "EIO"};
  run(5);
  CHECK(status("a").state == SourceState::error);
  CHECK(status("a").faults >= 4);
  played.errors["a"] = Error{Fault::denied, "EACCES", "setcap"};
  run(2);
  CHECK(status("a").state == SourceState::denied);
  CHECK(status("a").remedy == "setcap");
  played.errors.clear();
  run(2);
  CHECK(status("a").state == SourceState::ok);
  CHECK(status("a").remedy.empty());
  CHECK(played.calls["a"].size() == 12);
}

TEST_CASE_FIXTURE(Fixture, "a collector is destroyed on its lane: when it is dropped, and when its source stops") {
  int alive = 0;
  played.alive = &alive;
  played.devices = {"a", "b"};
  begin();
  run(3);
  CHECK(alive == 2);
  played.on_lane = false;
  played.errors["a"] = Error{Fault::broken, "gone"};
  run(1);
  clock.run_until(clock.now().steady_ns + second_ns / 2);  // between two calls
  CHECK(alive == 1);
  CHECK(played.ended_on_lane == 1);
  sampler->stop_all();
  CHECK(alive == 0);
  CHECK(played.ended_on_lane == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "a device that fails when it is identified shows its error, and is read within 10 s of its return") {
  played.asks = true;
  played.devices = {"A", "B"};
  played.errors["B"] = Error{Fault::broken, "lost", "look at the kernel's log", true};
  begin_known();
  run(600);
  CHECK(status("A").state == SourceState::ok);
  CHECK(status("B").state == SourceState::error);
  CHECK(status("B").lost);
  CHECK(status("B").remedy == "look at the kernel's log");
  for (std::size_t i = 3; i < played.identified.size(); ++i)
    CHECK(played.identified[i] - played.identified[i - 1] < 9 * second_ns);
  CHECK(ticks("A") == 599);
  played.errors.clear();
  run(10);
  CHECK(shown("B"));
  CHECK(status("B").state == SourceState::ok);
  CHECK_FALSE(status("B").lost);
  played.errors["B"] = Error{Fault::transient, "gone", "", true};
  run(3);
  CHECK(status("B").lost);
}

TEST_CASE_FIXTURE(Fixture, "a device without a name uses the status of the source itself") {
  played.devices = {""};
  begin();
  run(130);
  CHECK(status("").state == SourceState::ok);
  CHECK(played.discoveries.size() == 3);
  CHECK(ticks("") == 129);
}

TEST_CASE_FIXTURE(Fixture, "stop abandons a call: its series are removed, and its late return changes nothing") {
  begin();
  run(5);
  played.durations["a"] = 10 * second_ns;
  run(1);
  sampler->stop("scripted");
  CHECK(sampler->running().empty());
  CHECK(sources.list().empty());
  CHECK_FALSE(shown("a"));
  CHECK(latest.fresh(clock.now().steady_ns) == 0);
  const std::size_t calls = played.calls["a"].size();
  run(30);
  CHECK(played.calls["a"].size() == calls);
  CHECK(latest.fresh(clock.now().steady_ns) == 0);
  // Started again, the source works again.
  played.durations.clear();
  begin();
  run(3);
  CHECK(status("a").state == SourceState::ok);
  sampler->stop("unknown");
  sampler->stop_all();
  CHECK(sampler->running().empty());
}

TEST_CASE_FIXTURE(Fixture, "a loop that was stalled is late once, and does not catch up in a burst") {
  begin();
  clock.run_until(start.steady_ns + 10 * second_ns + 500 * milli_ns);
  clock.stall(5 * second_ns);
  clock.run_until(start.steady_ns + 20 * second_ns + 500 * milli_ns);
  CHECK(late_ns == 4 * second_ns + 500 * milli_ns);
  CHECK(ticks("a") == 20);
  CHECK(status("a").missed == 3);
}
