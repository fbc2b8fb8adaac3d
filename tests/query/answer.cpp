// Answers requests to Prometheus' HTTP API from a file, for comparison with Prometheus: answer [--time] FILE
// [NOW_SECONDS]
//
// FILE is OpenMetrics text with a timestamp on each sample; the value NaN ends a series. A line of standard input is a
// request ("/query?query=up&time=4"); the answer is one line: the status, a space and the body. With --time the CPU
// time of the fastest of five runs, in microseconds, is between the two.
#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "daemon/http/target.hpp"
#include "daemon/query/api.hpp"
#include "tests/fakes/memory_source.hpp"

namespace {

using perjoule::Labels;
using perjoule::storage::Point;

// Reads `a="b",c="d"}` up to the brace; false on anything else.
bool read_labels(std::string_view& rest, Labels& labels) {
  while (!rest.empty() && rest.front() != '}') {
    const std::size_t equal = rest.find("=\"");
    if (equal == std::string_view::npos) return false;
    std::string name(rest.substr(0, equal));
    std::string value;
    std::size_t at = equal + 2;
    for (; at < rest.size() && rest[at] != '"'; ++at) {
      if (rest[at] == '\\' && at + 1 < rest.size()) {
        ++at;
        value += rest[at] == 'n' ? '\n' : rest[at];
      } else {
        value += rest[at];
      }
    }
    if (!value.empty()) labels.emplace_back(std::move(name), std::move(value));
    rest.remove_prefix(std::min(rest.size(), at + 1));
    if (!rest.empty() && rest.front() == ',') rest.remove_prefix(1);
  }
  if (rest.empty()) return false;
  rest.remove_prefix(1);
  return true;
}

bool read_double(std::string_view& rest, double& value) {
  while (!rest.empty() && rest.front() == ' ')
    rest.remove_prefix(1);
  if (!rest.empty() && rest.front() == '+') rest.remove_prefix(1);
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return problem == std::errc();
}

bool read_sample(std::string_view line, std::map<Labels, std::vector<Point>>& all) {
  const std::size_t end = line.find_first_of("{ ");
  if (end == std::string_view::npos) return false;
  Labels labels = {{"__name__", std::string(line.substr(0, end))}};
  const bool has_labels = line[end] == '{';
  line.remove_prefix(end + 1);
  double value = 0;
  double seconds = 0;
  if (has_labels && !read_labels(line, labels)) return false;
  if (!read_double(line, value) || !read_double(line, seconds)) return false;
  std::sort(labels.begin(), labels.end());
  if (std::isnan(value)) value = perjoule::storage::end_mark;
  all[std::move(labels)].push_back({std::llround(seconds * 1000), value});
  return true;
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int count, char** words) {
  using namespace perjoule;
  const bool timed = count > 1 && std::string_view(words[1]) == "--time";
  if (timed) {
    --count;
    ++words;
  }
  std::ifstream file(count > 1 ? words[1] : "");
  if (!file) {
    std::cerr << "usage: answer [--time] FILE [NOW_SECONDS]\n";
    return 2;
  }
  query::MemorySource source;
  std::map<Labels, std::vector<Point>> all;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line.front() == '#') continue;
    if (!read_sample(line, all)) {
      std::cerr << "answer: expected a sample with a timestamp: " << line << '\n';
      return 1;
    }
  }
  for (auto& [labels, points] : all)
    source.add(labels, std::move(points));
  query::Environment environment{.source = source};
  if (count > 2) environment.now_ms = std::llround(std::strtod(words[2], nullptr) * 1000);

  while (std::getline(std::cin, line)) {
    const auto target = http::decode_target(line);
    const std::string_view path = target ? std::string_view(target->path).substr(1) : std::string_view();
    const http::Query parameters = target ? target->query : http::Query();
    query::Answer answer = query::answer(path, parameters, environment);
    double best = 1e9;
    for (int i = 0; timed && i < 5; ++i) {
      const double begin = cpu_seconds();
      answer = query::answer(path, parameters, environment);
      best = std::min(best, cpu_seconds() - begin);
    }
    std::cout << answer.status << ' ';
    if (timed) std::cout << std::llround(best * 1e6) << ' ';
    std::cout << answer.body << '\n' << std::flush;
  }
  return 0;
}
