#include "daemon/query/evaluate/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "daemon/query/evaluate/rows.hpp"

namespace perjoule::query {
namespace {

Aspect aspect_of(Function function) {
  switch (function) {
    case Function::avg_over_time:
      return Aspect::mean;
    case Function::min_over_time:
      return Aspect::min;
    case Function::max_over_time:
      return Aspect::max;
    case Function::sum_over_time:
      return Aspect::sum;
    case Function::count_over_time:
      return Aspect::count;
    default:
      return Aspect::last;
  }
}

// The value of a node. A matrix never gets one, because its function reads the selector directly.
struct Partial {
  std::vector<double> scalars;
  std::vector<Row> rows;
};

class Evaluator {
 public:
  Evaluator(const Expression& expression, const Grid& grid, Source& source, const Limits& limits,
            std::int64_t source_resolution_ms)
      : expression_(expression),
        grid_(grid),
        steps_(grid.steps()),
        source_(source),
        limits_(limits),
        source_resolution_ms_(source_resolution_ms) {}

  Result<Value> run() {
    const Node& root = node(expression_.root);
    Value value;
    value.type = root.value_type;
    if (root.value_type == ValueType::text) {
      value.text = root.text;
    } else if (root.value_type == ValueType::matrix) {
      auto selected = select(root, Aspect::last);
      if (!selected) return selected.error();
      value.series = std::move(selected->series);
      trim(value.series, root.range_ms);
    } else {
      auto partial = evaluate_node(expression_.root);
      if (!partial) return partial.error();
      value.scalars = std::move(partial->scalars);
      value.rows = std::move(partial->rows);
      if (grid_.step_ms > 0) sort_rows(value.rows);
    }
    value.warnings = std::move(warnings_);
    return value;
  }

 private:
  [[nodiscard]] const Node& node(std::uint32_t index) const { return expression_.nodes[index]; }

  static void sort_rows(std::vector<Row>& rows) {
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.labels < b.labels; });
  }

  static Error too_many_samples() {
    return Error{Fault::denied, "query processing would load too many samples into memory in query execution"};
  }

  // Counts samples against samples_max. None is subtracted when it is freed: the limit assumes that all stay in memory.
  bool take_samples(std::size_t samples) {
    if (samples > limits_.samples_max - samples_) return false;
    samples_ += samples;
    return true;
  }

  Result<void> take_steps(std::size_t rows) {
    work_ += std::max<std::size_t>(rows, 1) * steps_;
    if (work_ > limits_.steps_max) return Error{Fault::denied, "query processing would take too many steps"};
    return {};
  }

  Result<Selected> select(const Node& selector, Aspect aspect) {
    const std::int64_t reach_ms = selector.range_ms > 0 ? selector.range_ms : lookback_ms;
    const Want want{.matchers = selector.matchers,
                    .from_ms = grid_.from_ms - reach_ms,
                    .to_ms = grid_.to_ms,
                    .step_ms = steps_ > 1 ? grid_.step_ms : 0,
                    .window_ms = selector.range_ms,
                    .aspect = aspect,
                    .source_resolution_ms = source_resolution_ms_,
                    .series_max = limits_.series_max,
                    .samples_max = limits_.samples_max - samples_};
    auto selected = source_.select(want);
    if (!selected) return selected;
    if (selected->series.size() > limits_.series_max) {
      return Error{Fault::denied, fmt::format("query processing would select more than {} series", limits_.series_max)};
    }
    // Functions of a range skip end marks, and so does a range as the result, as in Prometheus.
    for (Series& series : selected->series) {
      if (selector.range_ms > 0)
        std::erase_if(series.points, [](const storage::Point& point) { return is_absent(point.value); });
      if (!take_samples(series.points.size())) return too_many_samples();
    }
    if (!selected->warning.empty() &&
        std::find(warnings_.begin(), warnings_.end(), selected->warning) == warnings_.end()) {
      warnings_.push_back(selected->warning);
    }
    return selected;
  }

  void trim(std::vector<Series>& series, std::int64_t range_ms) const {
    for (Series& one : series) {
      std::erase_if(one.points, [&](const storage::Point& point) {
        return point.wall_ms < grid_.to_ms - range_ms || point.wall_ms > grid_.to_ms;
      });
    }
    std::erase_if(series, [](const Series& one) { return one.points.empty(); });
  }

  // Makes a row from each series. `fill(points, out)` returns false if the row has no value at any step.
  template <class Fill>
  Result<std::vector<Row>> rows_of(std::vector<Series> selected, Fill fill) {
    if (!take_samples(selected.size() * steps_)) return too_many_samples();
    std::vector<Row> rows;
    rows.reserve(selected.size());
    std::vector<double> values(steps_, absent);
    for (Series& series : selected) {
      const bool any = fill(std::span<const storage::Point>(series.points), std::span<double>(values));
      if (any) {
        rows.push_back({std::move(series.labels), std::move(values)});
        values.assign(steps_, absent);
      }
      series.points = {};
    }
    return rows;
  }

  Result<Partial> evaluate_node(std::uint32_t index) {
    const Node& here = node(index);
    Result<Partial> partial = [&]() -> Result<Partial> {
      switch (here.type) {
        case NodeType::number:
          return Partial{std::vector<double>(steps_, here.number), {}};
        case NodeType::selector:
          return instant(here);
        case NodeType::call:
          return call(here);
        case NodeType::aggregate: {
          auto of = evaluate_node(here.left);
          if (!of) return of;
          return Partial{{}, aggregate(here, std::move(of->rows), steps_)};
        }
        case NodeType::negate:
          return negate(here);
        case NodeType::binary:
          return binary(here);
        case NodeType::text:
          break;
      }
      return Error{Fault::denied, "a string has no value here"};
    }();
    if (!partial) return partial;
    if (const auto taken = take_steps(partial->rows.size()); !taken) return taken.error();
    return partial;
  }

  Result<Partial> instant(const Node& selector) {
    auto selected = select(selector, Aspect::last);
    if (!selected) return selected.error();
    auto rows = rows_of(std::move(selected->series),
                        [this](auto points, auto out) { return select_newest(points, grid_, out); });
    if (!rows) return rows.error();
    return Partial{{}, std::move(*rows)};
  }

  Result<Partial> call(const Node& here) {
    if (here.function == Function::time) return time();
    if (here.function != Function::scalar && here.function != Function::vector) return range_function(here);
    auto argument = evaluate_node(here.left);
    if (!argument) return argument;
    if (here.function == Function::scalar) return Partial{scalars_of(argument->rows), {}};
    Partial partial;
    partial.rows.push_back({{}, std::move(argument->scalars)});
    return partial;
  }

  Result<Partial> time() const {
    Partial partial;
    partial.scalars.reserve(steps_);
    for (std::size_t step = 0; step < steps_; ++step) {
      partial.scalars.push_back(static_cast<double>(grid_.at(step)) / 1000);
    }
    return partial;
  }

  // Per step: the value if exactly one row has one, otherwise NaN.
  [[nodiscard]] std::vector<double> scalars_of(const std::vector<Row>& rows) const {
    std::vector<double> scalars(steps_, absent);
    std::vector<std::size_t> counts(steps_, 0);
    for (const Row& row : rows) {
      for (std::size_t step = 0; step < steps_; ++step) {
        if (is_absent(row.values[step])) continue;
        ++counts[step];
        scalars[step] = row.values[step];
      }
    }
    for (std::size_t step = 0; step < steps_; ++step) {
      if (counts[step] != 1) scalars[step] = std::numeric_limits<double>::quiet_NaN();
    }
    return scalars;
  }

  Result<Partial> range_function(const Node& here) {
    const Node& selector = node(here.left);
    auto selected = select(selector, aspect_of(here.function));
    if (!selected) return selected.error();
    const bool rolled_up = selected->rolled_up;
    auto rows = rows_of(std::move(selected->series), [&](auto points, auto out) {
      return over_time(here.function, points, grid_, selector.range_ms, rolled_up, out);
    });
    if (!rows) return rows.error();
    // As in Prometheus: after a function, rows with equal labels are refused even if they never have a value at the
    // same step; after a binary operator only if they have (merge_alike).
    if (here.function != Function::last_over_time && drop_names(*rows) && any_alike(*rows)) return alike_error();
    return Partial{{}, std::move(*rows)};
  }

  Result<Partial> negate(const Node& here) {
    auto of = evaluate_node(here.left);
    if (!of) return of;
    for (double& scalar : of->scalars)
      scalar = -scalar;
    for (Row& row : of->rows) {
      for (double& value : row.values) {
        if (!is_absent(value)) value = -value;
      }
    }
    if (drop_names(of->rows) && any_alike(of->rows)) return alike_error();
    return of;
  }

  Result<Partial> binary(const Node& here) {
    auto left = evaluate_node(here.left);
    if (!left) return left;
    auto right = evaluate_node(here.right);
    if (!right) return right;
    if (here.value_type == ValueType::scalar) {
      compute_scalars(here.op, left->scalars, right->scalars);
      return left;
    }
    const bool scalar_is_left = node(here.left).value_type == ValueType::scalar;
    Partial& vector = scalar_is_left ? *right : *left;
    const Partial& scalar = scalar_is_left ? *left : *right;
    if (const auto done = compute_rows(here, vector.rows, scalar.scalars, scalar_is_left); !done) return done.error();
    return Partial{{}, std::move(vector.rows)};
  }

  const Expression& expression_;
  const Grid& grid_;
  std::size_t steps_;
  Source& source_;
  const Limits& limits_;
  std::int64_t source_resolution_ms_;
  std::size_t samples_ = 0;
  std::size_t work_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace

Result<Value> evaluate(const Expression& expression, const Grid& grid, Source& source, const Limits& limits,
                       std::int64_t source_resolution_ms) {
  return Evaluator(expression, grid, source, limits, source_resolution_ms).run();
}

}  // namespace perjoule::query
