#include "daemon/query/evaluate/evaluator.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "daemon/query/promql/parser.hpp"
#include "tests/fakes/memory_source.hpp"

namespace perjoule::query {
namespace {

std::string labels_text(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels)
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value);
  return "{" + text + "}";
}

// The power of two GPUs, of which the second appears later, and another metric with the labels of the first.
MemorySource two_gpus() {
  MemorySource source;
  source.add({{"__name__", "power"}, {"gpu", "0"}, {"host", "a"}}, {{1'000, 10}, {2'000, 20}, {3'000, 30}});
  source.add({{"__name__", "power"}, {"gpu", "1"}, {"host", "a"}}, {{2'000, 200}, {3'000, 300}});
  source.add({{"__name__", "limit"}, {"gpu", "0"}, {"host", "a"}}, {{400'000, 700}});
  return source;
}

// "{labels} value value .." per series, "-" for a step without a value; or the error.
std::string run(MemorySource& source, std::string_view query, const Grid& grid, const Limits& limits = {}) {
  const auto expression = parse(query);
  REQUIRE(expression.has_value());
  const auto value = evaluate(*expression, grid, source, limits);
  if (!value) return fmt::format("{}: {}", name(value.error().fault), value.error().what);
  std::string text;
  const auto line = [&text](const std::string& head, const std::vector<double>& values) {
    text += (text.empty() ? "" : "\n") + head;
    for (const double one : values)
      text += is_absent(one) ? " -" : fmt::format(" {}", one);
  };
  if (value->type == ValueType::scalar) line("scalar", value->scalars);
  for (const Row& row : value->rows)
    line(labels_text(row.labels), row.values);
  for (const Series& series : value->series) {
    std::vector<double> values;
    for (const auto& point : series.points)
      values.push_back(point.value);
    line(labels_text(series.labels), values);
  }
  return text;
}

constexpr Grid at_3{3'000, 3'000, 0};
constexpr Grid three_steps{1'000, 3'000, 1'000};

}  // namespace

TEST_CASE("selectors at an instant and on a grid") {
  MemorySource source = two_gpus();
  CHECK(run(source, "power", at_3) == "{__name__=power,gpu=0,host=a} 30\n{__name__=power,gpu=1,host=a} 300");
  CHECK(run(source, "power", three_steps) ==
        "{__name__=power,gpu=0,host=a} 10 20 30\n{__name__=power,gpu=1,host=a} - 200 300");
  CHECK(run(source, "power[1s]", at_3) == "{__name__=power,gpu=0,host=a} 20 30\n{__name__=power,gpu=1,host=a} 200 300");
  CHECK(run(source, "nothing", at_3).empty());
  CHECK(run(source, "power{gpu=~'1|2'}", at_3) == "{__name__=power,gpu=1,host=a} 300");
}

TEST_CASE("functions and arithmetic remove the metric name; comparisons and last_over_time keep it") {
  MemorySource source = two_gpus();
  CHECK(run(source, "max_over_time(power[2s])", at_3) == "{gpu=0,host=a} 30\n{gpu=1,host=a} 300");
  CHECK(run(source, "last_over_time(power{gpu='0'}[2s])", at_3) == "{__name__=power,gpu=0,host=a} 30");
  CHECK(run(source, "power * 2", at_3) == "{gpu=0,host=a} 60\n{gpu=1,host=a} 600");
  CHECK(run(source, "-power", at_3) == "{gpu=0,host=a} -30\n{gpu=1,host=a} -300");
  CHECK(run(source, "power > 20", three_steps) ==
        "{__name__=power,gpu=0,host=a} - - 30\n{__name__=power,gpu=1,host=a} - 200 300");
  CHECK(run(source, "20 < power", three_steps) ==
        "{__name__=power,gpu=0,host=a} - - 30\n{__name__=power,gpu=1,host=a} - 200 300");
  CHECK(run(source, "power > bool 20", three_steps) == "{gpu=0,host=a} 0 0 1\n{gpu=1,host=a} - 1 1");
  CHECK(run(source, "power > 1000", at_3).empty());
}

TEST_CASE("an ended series is absent at once; functions of a range skip the end") {
  MemorySource source;
  source.add({{"__name__", "power"}, {"gpu", "0"}},
             {{1'000, 10}, {2'000, 20}, {2'500, absent}, {5'000, 50}, {6'000, 60}, {7'000, absent}});
  source.add({{"__name__", "power"}, {"gpu", "1"}}, {{1'000, 1}, {6'000, 6}});
  constexpr Grid steps{1'000, 8'000, 1'000};
  CHECK(run(source, "power", steps) ==
        "{__name__=power,gpu=0} 10 20 - - 50 60 - -\n{__name__=power,gpu=1} 1 1 1 1 1 6 6 6");
  CHECK(run(source, "power", {4'000, 4'000, 0}) == "{__name__=power,gpu=1} 1");
  CHECK(run(source, "count(power)", steps) == "{} 2 2 1 1 2 2 1 1");
  CHECK(run(source, "sum(power)", steps) == "{} 11 21 1 1 51 66 6 6");
  CHECK(run(source, "count_over_time(power{gpu='0'}[10s])", {8'000, 8'000, 0}) == "{gpu=0} 4");
  CHECK(run(source, "last_over_time(power{gpu='0'}[10s])", {8'000, 8'000, 0}) == "{__name__=power,gpu=0} 60");
  CHECK(run(source, "delta(power{gpu='0'}[10s])", {7'000, 7'000, 0}) == "{gpu=0} 68.33333333333333");
  CHECK(run(source, "sum_over_time(power{gpu='0'}[1s])", {4'000, 4'000, 0}).empty());
  CHECK(run(source, "power{gpu='0'}[10s]", {8'000, 8'000, 0}) == "{__name__=power,gpu=0} 10 20 50 60");
}

TEST_CASE("aggregations with by and without") {
  MemorySource source = two_gpus();
  CHECK(run(source, "sum(power)", three_steps) == "{} 10 220 330");
  CHECK(run(source, "avg by (host) (power)", three_steps) == "{host=a} 10 110 165");
  CHECK(run(source, "count without (gpu) (power)", three_steps) == "{host=a} 1 2 2");
  CHECK(run(source, "min by (__name__) (power)", at_3) == "{__name__=power} 30");
  CHECK(run(source, "max(nothing)", at_3).empty());
}

TEST_CASE("a range result is sorted by labels, an instant result keeps the order of evaluation") {
  MemorySource source;
  source.add({{"__name__", "a"}, {"gpu", "1"}}, {{1'000, 1}});
  source.add({{"__name__", "b"}, {"gpu", "0"}}, {{1'000, 2}});
  CHECK(run(source, "sum by (gpu) ({gpu=~'.+'})", {1'000, 1'000, 0}) == "{gpu=1} 1\n{gpu=0} 2");
  CHECK(run(source, "sum by (gpu) ({gpu=~'.+'})", {1'000, 1'000, 15'000}) == "{gpu=0} 2\n{gpu=1} 1");
}

TEST_CASE("scalars, vectors and time") {
  MemorySource source = two_gpus();
  CHECK(run(source, "time() * 2", three_steps) == "scalar 2 4 6");
  CHECK(run(source, "scalar(power{gpu='1'})", three_steps) == "scalar nan 200 300");
  CHECK(run(source, "scalar(power)", at_3) == "scalar nan");
  CHECK(run(source, "vector(7) + 1", three_steps) == "{} 8 8 8");
  CHECK(run(source, "power - time()", at_3) == "{gpu=0,host=a} 27\n{gpu=1,host=a} 297");
  CHECK(run(source, "2 ^ 3 ^ 2 - 7 % 4", at_3) == "scalar 509");
}

TEST_CASE("series with equal labels are an error if they have values at the same step") {
  MemorySource source = two_gpus();
  const std::string alike = "denied: vector cannot contain metrics with the same labelset";
  const Grid both{3'000, 403'000, 200'000};  // power at the first two, limit at the last
  CHECK(run(source, "{gpu='0'}", both) ==
        "{__name__=limit,gpu=0,host=a} - - 700\n{__name__=power,gpu=0,host=a} 30 30 -");
  CHECK(run(source, "{gpu='0'} * 2", both) == "{gpu=0,host=a} 60 60 1400");  // never at the same step
  CHECK(run(source, "{gpu='0'} * 2", {3'000, 403'000, 100'000}) == "{gpu=0,host=a} 60 60 60 60 1400");
  CHECK(run(source, "last_over_time({gpu='0'}[10m]) * 2", both) == alike);
  CHECK(run(source, "max_over_time({gpu='0'}[5m])", both) == alike);  // functions refuse them over the whole range
  CHECK(run(source, "-{gpu='0'}", both) == alike);
}

TEST_CASE("the source is asked for exactly the range that the answer needs") {
  MemorySource source = two_gpus();
  (void)run(source, "power", {1'000'000, 2'000'000, 1'000});
  (void)run(source, "avg_over_time(power[1h])", {1'000'000, 1'000'000, 0});
  REQUIRE(source.wants.size() == 2);
  CHECK(source.wants[0].from_ms == 700'000);
  CHECK(source.wants[0].to_ms == 2'000'000);
  CHECK(source.wants[0].step_ms == 1'000);
  CHECK(source.wants[0].window_ms == 0);
  CHECK(source.wants[0].aspect == Aspect::last);
  CHECK(source.wants[1].from_ms == 1'000'000 - 3'600'000);
  CHECK(source.wants[1].step_ms == 0);
  CHECK(source.wants[1].window_ms == 3'600'000);
  CHECK(source.wants[1].aspect == Aspect::mean);
}

TEST_CASE("a query that exceeds a limit is refused") {
  MemorySource source = two_gpus();
  CHECK(run(source, "power", at_3, {.series_max = 1}).starts_with("denied: "));
  CHECK(run(source, "power", at_3, {.samples_max = 4}).starts_with("denied: "));
  CHECK(run(source, "power", three_steps, {.samples_max = 10}) ==
        "denied: query processing would load too many samples into memory in query execution");
  CHECK(run(source, "1 + 1", three_steps, {.steps_max = 8}) == "denied: query processing would take too many steps");
  source.error = Error{Fault::timeout, "too late"};
  CHECK(run(source, "power", at_3) == "timeout: too late");
}

}  // namespace perjoule::query
