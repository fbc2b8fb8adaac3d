#include "daemon/query/reader.hpp"

#include <doctest/doctest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "tests/fakes/hand_lane.hpp"
#include "tests/fakes/virtual_clock.hpp"
#include "tests/unit/daemon/query/recording.hpp"

namespace perjoule::query {
namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr std::int64_t now_ms = begin_ms + 60'500;

struct Fixture {
  storage::Scratch scratch;
  std::filesystem::path file = scratch / "history.db";
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, {100 * second_ns, now_ms}};
  std::shared_ptr<fakes::HandLane::Call> call = std::make_shared<fakes::HandLane::Call>();
  std::unique_ptr<Reader> reader;
  std::vector<Answer> answers;
  bool has_room = true;
  std::shared_ptr<storage::Reading> reading = std::make_shared<storage::Reading>();

  explicit Fixture(const Reader::Evaluate& evaluate = answer) {
    Reader::Setup setup{loop, clock, std::make_unique<fakes::HandLane>(call), file, {}, {}};
    setup.build.version = "1.2.3";
    setup.evaluate = evaluate;
    setup.has_room = [this] { return has_room; };
    setup.reading = reading;
    reader = std::make_unique<Reader>(std::move(setup));
  }
  void ask(std::string query = "perjoule_test_power_watts") {
    reader->ask("query", {{"query", std::move(query)}},
                [this](Answer answer) { answers.push_back(std::move(answer)); });
  }
  void settle() { clock.run_until(clock.now().steady_ns); }
  void pass(std::int64_t milliseconds) {
    clock.run_until(clock.now().steady_ns + milliseconds * nanoseconds_per_millisecond);
  }
  // Asks a query and lets the lane answer it.
  Answer get(std::string query = "perjoule_test_power_watts") {
    const std::size_t before = answers.size();
    ask(std::move(query));
    settle();
    call->finish();
    settle();
    REQUIRE(answers.size() == before + 1);
    return answers.back();
  }
};

bool has(const Answer& answer, std::string_view part) {
  return answer.body.find(part) != std::string::npos;
}

TEST_CASE_FIXTURE(Fixture, "reader: a query without `time` is evaluated at the time at which the lane starts it") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  const Answer got = get();
  CHECK(got.status == 200);
  CHECK(got.body == R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{)"
                    R"("__name__":"perjoule_test_power_watts","gpu":"0"},"value":[1795392060.500,"60"]}]}})");
  reader->ask("status/buildinfo", {}, [this](Answer answer) { answers.push_back(std::move(answer)); });
  settle();
  call->finish();
  CHECK(has(answers.at(1), R"("version":"1.2.3")"));
}

TEST_CASE_FIXTURE(
    Fixture,
    "reader: if the lane hangs, queries get 503 at their deadline; when it returns, waiting ones are answered") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  ask();
  pass(5'000);
  CHECK(call->calls == 1);
  ask();
  pass(4'999);
  CHECK(answers.empty());
  pass(1);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].status == 503);
  CHECK(has(answers[0], R"("errorType":"timeout")"));
  pass(4'999);
  CHECK(answers.size() == 1);
  pass(1);
  REQUIRE(answers.size() == 2);  // the second query never reached the lane
  CHECK(answers[1].status == 503);
  ask();
  pass(1);
  CHECK(call->calls == 1);
  call->finish();  // the answer of the first query is discarded
  settle();
  CHECK(answers.size() == 2);
  CHECK(call->calls == 2);
  call->finish();
  settle();
  REQUIRE(answers.size() == 3);
  CHECK(answers[2].status == 200);
  pass(60'000);
  CHECK(answers.size() == 3);
}

TEST_CASE_FIXTURE(Fixture, "reader: 32 queries wait behind the current one, and the next is refused at once") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  for (int n = 0; n < 33; ++n)
    ask();
  settle();
  CHECK(answers.empty());
  ask();
  settle();
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].status == 503);
  CHECK(has(answers[0], "too many queries are waiting"));
  for (int n = 0; n < 33; ++n) {
    call->finish();
    settle();
  }
  REQUIRE(answers.size() == 34);
  for (std::size_t n = 1; n < answers.size(); ++n)
    CHECK(answers[n].status == 200);
}

TEST_CASE_FIXTURE(Fixture, "reader: without room for one more answer no query runs") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  ask();
  ask();
  settle();
  has_room = false;
  CHECK(answers.empty());
  call->finish();  // the first one has run
  settle();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].status == 200);
  CHECK(answers[1].status == 503);
  CHECK(has(answers[1], "no room"));
  ask();
  settle();
  CHECK(answers.at(2).status == 503);
  CHECK(call->calls == 1);
  has_room = true;
  CHECK(get().status == 200);
}

TEST_CASE_FIXTURE(
    Fixture, "reader: before the first file there is nothing; a file that is gone is 503, until there is one again") {
  Answer got = get();
  CHECK(got.status == 200);
  CHECK(has(got, R"("result":[])"));
  Recording(file).record(begin_ms, begin_ms + 50'000);
  CHECK(has(get(), R"("50"]})"));
  // The daemon renames a damaged file like this.
  std::filesystem::rename(file, scratch / "history.db.kept");
  got = get();
  CHECK(got.status == 503);
  CHECK(has(got, R"("errorType":"unavailable")"));
  CHECK(has(got, "no such file"));
  Recording(file).record(begin_ms, begin_ms + 40'000);
  CHECK(has(get(), R"("40"]})"));
}

TEST_CASE_FIXTURE(Fixture, "reader: a file that it cannot read is suspect to the writer; a missing one is not") {
  CHECK(get().status == 200);
  CHECK_FALSE(reading->suspect);
  storage::write_file(file, std::string(9000, 'x'));
  CHECK(get().status == 503);
  CHECK(reading->suspect);
  reading->suspect = false;
  std::filesystem::remove(file);
  Recording(file).record(begin_ms, begin_ms + 60'000);
  CHECK(get().status == 200);
  CHECK_FALSE(reading->suspect);
}

TEST_CASE_FIXTURE(
    Fixture, "reader: without the WAL's index it goes on, and it opens the file again when the writer has closed it") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  const std::string before = get().body;
  std::filesystem::remove(file.string() + "-shm");
  CHECK(get().body == before);
  REQUIRE(reading->connection);
  CHECK(reading->connection->place() == storage::Place::logs_lost);
  reading->connection.reset();
  CHECK(get().body == before);
  CHECK(reading->connection->place() == storage::Place::intact);
}

TEST_CASE_FIXTURE(Fixture, "reader: reads while the store writes") {
  Recording recording(file);
  recording.record(begin_ms, begin_ms + 30'000);
  CHECK(has(get(), R"("30"]})"));
  recording.record(begin_ms + 31'000, begin_ms + 60'000);
  CHECK(has(get(), R"("60"]})"));
}

TEST_CASE("reader: a query that runs out of memory gets 500, and the next one is answered") {
  int calls = 0;
  Fixture f([&](std::string_view path, const Parameters& parameters, const Environment& environment) {
    if (++calls == 1) throw std::bad_alloc();
    return answer(path, parameters, environment);
  });
  Recording(f.file).record(begin_ms, begin_ms + 60'000);
  CHECK(f.get().status == 500);
  CHECK(f.get().status == 200);
}

TEST_CASE("reader: the evaluation of an expired or abandoned query stops") {
  std::vector<Fault> faults;
  Fixture f([&](std::string_view, const Parameters&, const Environment& environment) {
    Want want;
    want.to_ms = now_ms;
    want.series_max = 9;
    want.samples_max = 999;
    const auto selected = environment.source.select(want);
    if (!selected) faults.push_back(selected.error().fault);
    return Answer{};
  });
  Recording(f.file).record(begin_ms, begin_ms + 60'000);
  f.get();
  CHECK(faults.empty());
  f.ask();
  f.pass(10'000);
  f.call->finish();
  f.settle();
  CHECK(faults == std::vector{Fault::timeout});
  f.ask();
  f.settle();
  f.reader.reset();
  f.call->run();
  CHECK(faults == std::vector{Fault::timeout, Fault::timeout});
}

TEST_CASE_FIXTURE(Fixture, "reader: its destructor answers each open query once, and late handlers do not use it") {
  Recording(file).record(begin_ms, begin_ms + 60'000);
  for (int n = 0; n < 3; ++n)
    ask();  // one is on the lane, two wait
  settle();
  ask();  // still on its way to the loop
  reader.reset();
  CHECK(answers.size() == 3);
  call->finish();  // the lane returns after the reader is gone
  pass(60'000);
  REQUIRE(answers.size() == 4);
  for (const Answer& answer : answers) {
    CHECK(answer.status == 503);
    CHECK(has(answer, R"("errorType":"unavailable")"));
  }
}

TEST_CASE("reader: the deepest query fits the stack of a lane") {
  storage::Scratch scratch;
  Recording(scratch / "history.db").record(begin_ms, begin_ms + 60'000);
  asio::io_context loop{1};
  const auto guard = asio::make_work_guard(loop);
  SystemClock clock(loop);
  LaneThreads lanes(loop);
  {
    Reader reader({loop, clock, lanes.make(Reader::stack_bytes), scratch / "history.db", {}, {}});
    const auto repeat = [](std::string_view text, int times) {
      std::string all;
      for (int n = 0; n < times; ++n)
        all += text;
      return all;
    };
    const std::string queries[] = {
        repeat("(", 98) + "1" + repeat(")", 98),
        repeat("-(", 49) + "1" + repeat(")", 49),
        repeat("sum(", 48) + "perjoule_test_power_watts" + repeat(")", 48),
        repeat("2 ^ ", 98) + "1",
        repeat("(", 9000),
        "perjoule_test_power_watts{gpu=~\"" + repeat("(", 900) + "0" + repeat(")", 900) + "\"}",
        "rate({gpu=~\"" + repeat("(0|", 2000) + "0" + repeat(")*", 2000) + "\"}[1m])"};
    for (const std::string& query : queries) {
      CAPTURE(query.substr(0, 20));
      unsigned status = 0;
      reader.ask("query", {{"query", query}, {"time", "1795392060"}},
                 [&](const Answer& answer) { status = answer.status; });
      while (status == 0)
        loop.run_one();
      CHECK((status == 200 || status == 400));
    }
  }
  CHECK(lanes.drain(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace perjoule::query
