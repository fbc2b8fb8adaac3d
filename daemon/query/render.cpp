#include "daemon/query/render.hpp"

#include "daemon/query/json.hpp"

namespace perjoule::query {
namespace {

constexpr std::size_t sample_bytes = 28;  // of a usual sample, for what to reserve

void append_points(std::string& out, const std::vector<storage::Point>& points) {
  out.reserve(out.size() + points.size() * sample_bytes);
  out += '[';
  {
    SampleWriter samples(out);
    for (const storage::Point& point : points)
      samples.add(point.wall_ms, point.value);
  }
  out += ']';
}

void append_steps(std::string& out, const std::vector<double>& values, const Grid& grid) {
  std::vector<storage::Point> points;
  points.reserve(values.size());
  for (std::size_t step = 0; step < values.size(); ++step) {
    if (!is_absent(values[step])) points.push_back({grid.at(step), values[step]});
  }
  append_points(out, points);
}

// `{"metric":{...},` of a series, behind a comma where it is not the first.
void begin_series(std::string& out, const Labels& labels, bool first) {
  out += first ? "{\"metric\":" : ",{\"metric\":";
  append_labels(out, labels);
  out += ',';
}

}  // namespace

bool append_instant(std::string& out, const Value& value, std::int64_t at_ms, std::size_t bytes_max) {
  bool first = true;
  switch (value.type) {
    case ValueType::scalar:
      out += R"({"resultType":"scalar","result":)";
      append_sample(out, at_ms, value.scalars.front());
      out += '}';
      return true;
    case ValueType::text:
      out += R"({"resultType":"string","result":[)";
      append_time(out, at_ms);
      out += ',';
      append_text(out, value.text);
      out += "]}";
      return true;
    case ValueType::vector:
      out += R"({"resultType":"vector","result":[)";
      for (const Row& row : value.rows) {
        begin_series(out, row.labels, first);
        out += "\"value\":";
        append_sample(out, at_ms, row.values.front());
        out += '}';
        first = false;
        if (out.size() > bytes_max) return false;
      }
      break;
    case ValueType::matrix:
      out += R"({"resultType":"matrix","result":[)";
      for (const Series& series : value.series) {
        begin_series(out, series.labels, first);
        out += "\"values\":";
        append_points(out, series.points);
        out += '}';
        first = false;
        if (out.size() > bytes_max) return false;
      }
      break;
  }
  out += "]}";
  return true;
}

bool append_range(std::string& out, const Value& value, const Grid& grid, std::size_t bytes_max) {
  bool first = true;
  out += R"({"resultType":"matrix","result":[)";
  if (value.type == ValueType::scalar) {
    begin_series(out, {}, first);
    out += "\"values\":";
    append_steps(out, value.scalars, grid);
    out += '}';
  }
  for (const Row& row : value.rows) {
    begin_series(out, row.labels, first);
    out += "\"values\":";
    append_steps(out, row.values, grid);
    out += '}';
    first = false;
    if (out.size() > bytes_max) return false;
  }
  out += "]}";
  return true;
}

}  // namespace perjoule::query
