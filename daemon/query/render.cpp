#include "daemon/query/render.hpp"

#include "config/json_writer.hpp"
#include "daemon/query/json.hpp"

namespace perjoule::query {
namespace {

constexpr std::size_t sample_bytes = 28;  // typical size of a sample, for reserve() only

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

// {"resultType":TYPE,"result":
void begin_result(std::string& out, std::string_view type) {
  JsonWriter(out).begin_object().member("resultType", type).key("result");
}

// {"metric":{...},KEY:
void begin_series(std::string& out, const Labels& labels, std::string_view key) {
  JsonWriter(out).begin_object().key("metric");
  append_json(out, labels);
  JsonWriter(out).key(key);
}

}  // namespace

bool append_instant(std::string& out, const Value& value, std::int64_t at_ms, std::size_t bytes_max) {
  JsonWriter json(out);
  switch (value.type) {
    case ValueType::scalar:
      begin_result(out, "scalar");
      append_sample(out, at_ms, value.scalars.front());
      json.end_object();
      return true;
    case ValueType::text:
      begin_result(out, "string");
      json.begin_array();
      append_time(out, at_ms);
      json.string(value.text).end_array().end_object();
      return true;
    case ValueType::vector:
      begin_result(out, "vector");
      json.begin_array();
      for (const Row& row : value.rows) {
        begin_series(out, row.labels, "value");
        append_sample(out, at_ms, row.values.front());
        json.end_object();
        if (out.size() > bytes_max) return false;
      }
      break;
    case ValueType::matrix:
      begin_result(out, "matrix");
      json.begin_array();
      for (const Series& series : value.series) {
        begin_series(out, series.labels, "values");
        append_points(out, series.points);
        json.end_object();
        if (out.size() > bytes_max) return false;
      }
      break;
  }
  json.end_array().end_object();
  return true;
}

bool append_range(std::string& out, const Value& value, const Grid& grid, std::size_t bytes_max) {
  JsonWriter json(out);
  begin_result(out, "matrix");
  json.begin_array();
  if (value.type == ValueType::scalar) {
    begin_series(out, {}, "values");
    append_steps(out, value.scalars, grid);
    json.end_object();
  }
  for (const Row& row : value.rows) {
    begin_series(out, row.labels, "values");
    append_steps(out, row.values, grid);
    json.end_object();
    if (out.size() > bytes_max) return false;
  }
  json.end_array().end_object();
  return true;
}

}  // namespace perjoule::query
