#include "daemon/alerts/evaluate/memory.hpp"

#include <doctest/doctest.h>

#include <random>

#include "tests/fakes/readings.hpp"

namespace perjoule::alerts {
namespace {

Transition example() {
  Transition made;
  made.alert.name = "Hot";
  made.alert.severity = "warning";
  made.alert.labels = {{"gpu", "0"}, {"name", "a\"b\\c,d=\"e/f"}};
  made.alert.phase = Phase::firing;
  made.alert.starts_ms = 1'700'000'000'123;
  made.alert.value = 0.1;
  made.alert.summary = "two\nlines";
  made.condition = "x > 1";
  made.since_ms = 1'700'000'000'000;
  return made;
}

TEST_CASE("a saved alert is read back unchanged") {
  const Transition fired = example();
  CHECK(memory_key(fired.alert) == R"(alert/Hot/warning/gpu="0",name="a\"b\\c,d=\"e/f")");
  const std::optional<Remembered> back = remember(memory_key(fired.alert), memory_text(fired));
  REQUIRE(back);
  CHECK(same(back->alert, fired.alert));
  CHECK(back->alert.phase == Phase::firing);
  CHECK(back->alert.starts_ms == fired.alert.starts_ms);
  CHECK(back->alert.value == fired.alert.value);
  CHECK(back->alert.summary == fired.alert.summary);
  CHECK(back->condition == fired.condition);
  CHECK(back->since_ms == fired.since_ms);
}

TEST_CASE("damaged saved alerts are refused, and random bytes do no harm") {
  const Transition fired = example();
  const std::string key = memory_key(fired.alert);
  const std::string text = memory_text(fired);
  CHECK_FALSE(remember("alert/Hot/warning", text));
  CHECK_FALSE(remember("other/Hot/warning/", text));
  CHECK_FALSE(remember(key, ""));
  CHECK_FALSE(remember(key, "firing 1 2 x\ny\nz"));
  CHECK_FALSE(remember(key, "burning 1 2 3\ny\nz"));
  CHECK(remember(key, "firing 1 2 3\ny\n"));
  std::mt19937_64 random(3);
  for (int i = 0; i < 5'000; ++i) {
    (void)remember("alert/" + hostile(random, "alert/Hot=\",\\"), hostile(random, "firing pending 0123456789\n"));
  }
}

}  // namespace
}  // namespace perjoule::alerts
