#include "daemon/self/reloader.hpp"

#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/fakes/hand_lane.hpp"
#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second = nanoseconds_per_second;

struct Fixture {
  asio::io_context loop;
  fakes::VirtualClock clock{loop, {5 * second, 1'795'424'400'000}};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};
  Instruments instruments{BuildInfo{}};
  Service service{loop, clock, {}};
  std::shared_ptr<fakes::HandLane::Call> disk = std::make_shared<fakes::HandLane::Call>();
  std::string file = "first";  // what the disk holds; "bad" is refused
  std::vector<std::string> applied;
  std::vector<std::string> answers;
  std::optional<Reloader> reloader{Reloader::Parts{clock, log, instruments, service,
                                                   std::make_unique<fakes::HandLane>(disk), [this] { return read(); }}};

  Reloader::Found read() {
    if (file == "bad") return {"bad:1:1: error", {}};
    return {"", [this, text = file] { applied.push_back(text); }};
  }
  void ask(const std::string& name) {
    reloader->request([this, name](Reloader::Outcome outcome) {
      constexpr std::array outcomes = {"accepted", "refused", "hangs"};
      answers.push_back(name + " " + outcomes.at(static_cast<std::size_t>(outcome)));
    });
  }
  void seconds(int count) {
    for (int n = 0; n < count; ++n) {
      clock.run_until(clock.now().steady_ns + second);
      reloader->watch();
    }
  }
  double successful() {
    double shown = -1;
    instruments.visit([&shown](const Metric& metric, std::string_view, double value) {
      if (metric.name == "perjoule_config_last_reload_successful") shown = value;
    });
    return shown;
  }
};

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "reload: read on the lane, applied on the loop, then answered") {
  ask("a");
  CHECK(disk->busy);
  seconds(4);
  disk->run();
  CHECK(applied.empty());
  CHECK(answers.empty());
  disk->finish();
  CHECK(applied == Words{"first"});
  CHECK(answers == Words{"a accepted"});
  CHECK(successful() == 1);
  file = "bad";
  ask("b");
  disk->finish();
  CHECK(applied.size() == 1);
  CHECK(answers.back() == "b refused");
  CHECK(successful() == 0);
  seconds(60);
  CHECK(answers.size() == 2);
  CHECK(disk->calls == 2);
}

TEST_CASE_FIXTURE(Fixture, "reload: what is asked for while one is read is answered by one that began after it") {
  ask("a");
  disk->run();
  file = "second";  // changed after it was read
  for (int n = 0; n < 100; ++n)
    reloader->request();
  ask("b");
  CHECK(disk->calls == 1);
  disk->finish();
  CHECK(answers == Words{"a accepted"});
  CHECK(disk->calls == 2);
  disk->finish();
  CHECK(answers == Words{"a accepted", "b accepted"});
  CHECK(applied == Words{"first", "second"});
  CHECK(disk->calls == 2);
}

TEST_CASE_FIXTURE(Fixture,
                  "reload: a disk that hangs is reported once and everyone is answered; it is applied when read") {
  ask("a");
  seconds(2);
  ask("b");
  CHECK(answers.empty());
  seconds(2);
  CHECK(answers.empty());
  seconds(1);
  CHECK(answers == Words{"a hangs", "b hangs"});
  CHECK(successful() == 0);
  seconds(600);
  ask("c");
  CHECK(answers.back() == "c hangs");
  CHECK(answers.size() == 3);
  CHECK(disk->calls == 1);
  disk->finish();
  CHECK(applied == Words{"first"});
  CHECK(successful() == 1);
  CHECK(disk->calls == 2);  // what b and c asked for
  file = "bad";
  disk->finish();
  CHECK(successful() == 0);
  CHECK(answers.size() == 3);
  file = "second";
  ask("d");
  disk->finish();
  CHECK(answers.back() == "d accepted");
}

TEST_CASE_FIXTURE(Fixture, "reload: without a thread it is refused, and the next one tries again") {
  disk->no_thread = true;
  ask("a");
  CHECK(answers == Words{"a refused"});
  CHECK(successful() == 0);
  disk->no_thread = false;
  ask("b");
  disk->finish();
  CHECK(answers.back() == "b accepted");
  CHECK(successful() == 1);
}

TEST_CASE_FIXTURE(Fixture, "reload: after the end nothing is applied or answered") {
  ask("a");
  disk->run();
  reloader.reset();
  disk->finish();
  CHECK(applied.empty());
  CHECK(answers.empty());
}
