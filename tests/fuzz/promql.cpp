// libFuzzer target: parses the input as a query. A valid query is evaluated at an instant and on a grid over a small
// history, and the result is written as JSON. tests/soak/fuzz.sh builds and runs it.
//
// sources: daemon/query/promql/*.cpp daemon/query/evaluate/*.cpp daemon/query/render.cpp daemon/query/json.cpp
// sources: config/json_reader.cpp config/json_syntax.cpp config/json_writer.cpp config/quantity_text.cpp
// sources: config/source_text.cpp config/text*.cpp config/utf8.cpp collectors/labels.cpp collectors/result.cpp
// libraries: -lre2 -lfmt
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "daemon/query/evaluate/evaluator.hpp"
#include "daemon/query/promql/parser.hpp"
#include "daemon/query/render.hpp"
#include "tests/fakes/memory_source.hpp"

namespace {

using namespace perjoule::query;

MemorySource history() {
  MemorySource source;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const char* gpu : {"0", "1"}) {
    std::vector<perjoule::storage::Point> points;
    for (int i = 0; i < 60; ++i)
      points.push_back({100'000 + 1'000 * i, i % 17 * 1.5 + (gpu[0] == '1' ? 0.1 : 0)});
    points[30].value = infinity;
    points[31].value = -infinity;
    points[32].value = std::numeric_limits<double>::quiet_NaN();
    source.add({{"__name__", "a"}, {"gpu", gpu}}, std::move(points));
  }
  source.add({{"__name__", "b"}, {"gpu", "0"}}, {{100'000, 1e300}, {160'000, -1e-300}});
  return source;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MemorySource source = history();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_selector(text);
  const auto expression = parse(text);
  if (!expression) return 0;
  const Limits limits{.series_max = 100, .samples_max = 10'000, .steps_max = 100'000, .answer_bytes_max = 1 << 20};
  std::string out;
  const Grid instant{140'000, 140'000, 0};
  if (const auto value = evaluate(*expression, instant, source, limits)) {
    if (!append_instant(out, *value, instant.from_ms, limits.answer_bytes_max)) std::abort();
  }
  if (expression->type() == ValueType::scalar || expression->type() == ValueType::vector) {
    const Grid grid{90'000, 480'000, 13'000};
    if (const auto value = evaluate(*expression, grid, source, limits)) {
      if (!append_range(out, *value, grid, limits.answer_bytes_max)) std::abort();
    }
  }
  source.wants.clear();
  return 0;
}
