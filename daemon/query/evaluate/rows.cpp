#include "daemon/query/evaluate/rows.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

namespace perjoule::query {
namespace {

// Appends the length and the string. With lengths, different labels never give the same key; a separator would not do,
// because a label value may contain any byte.
void append_key(std::string& key, std::string_view text) {
  const std::size_t size = text.size();
  for (unsigned shift = 0; shift < 32; shift += 8)
    key += static_cast<char>(size >> shift & 0xFF);
  key += text;
}

std::string key_of(const Labels& labels) {
  std::string key;
  for (const auto& [name, value] : labels) {
    append_key(key, name);
    append_key(key, value);
  }
  return key;
}

bool holds(Operator op, double left, double right) {
  switch (op) {
    case Operator::equal:
      return left == right;
    case Operator::not_equal:
      return left != right;
    case Operator::greater:
      return left > right;
    case Operator::less:
      return left < right;
    case Operator::greater_equal:
      return left >= right;
    case Operator::less_equal:
      return left <= right;
    default:
      return false;
  }
}

bool is_listed(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

Labels group_of(const Node& node, const Labels& labels) {
  Labels group;
  for (const auto& pair : labels) {
    const bool listed = is_listed(node.grouping, pair.first);
    if (node.without ? !listed && pair.first != name_label : listed) group.push_back(pair);
  }
  return group;
}

// Adds `value`, the `count`-th of its group, to the aggregate `so_far`. avg is Prometheus' incremental mean: it cannot
// overflow, and an infinite mean stays infinite unless the opposite infinity or NaN is added.
double fold(Aggregator aggregator, double so_far, double value, double count) {
  switch (aggregator) {
    case Aggregator::sum:
      return so_far + value;
    case Aggregator::avg:
      if (std::isinf(so_far)) {
        if (std::isinf(value) && (so_far > 0) == (value > 0)) return so_far;
        if (std::isfinite(value)) return so_far;
      }
      return so_far + (value / count - so_far / count);
    case Aggregator::min:
      return so_far > value || std::isnan(so_far) ? value : so_far;
    case Aggregator::max:
      return so_far < value || std::isnan(so_far) ? value : so_far;
    case Aggregator::count:
      return count;
  }
  return so_far;
}

struct Group {
  Row row;
  std::vector<double> counts;
};

void fold_row(Aggregator aggregator, Group& group, const Row& row) {
  for (std::size_t step = 0; step < row.values.size(); ++step) {
    const double value = row.values[step];
    if (is_absent(value)) continue;
    const double count = group.counts[step] += 1;
    double& so_far = group.row.values[step];
    if (count > 1) {
      so_far = fold(aggregator, so_far, value, count);
    } else {
      so_far = aggregator == Aggregator::count ? 1 : value;
    }
  }
}

}  // namespace

bool drop_names(std::vector<Row>& rows) {
  bool differ = false;
  std::string first;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Labels& labels = rows[i].labels;
    const std::string_view name = label_value(labels, name_label);
    if (i == 0) first = name;
    differ = differ || name != first;
    std::erase_if(labels, [](const auto& pair) { return pair.first == name_label; });
  }
  return differ;
}

Error alike_error() {
  return Error{Fault::denied, "vector cannot contain metrics with the same labelset"};
}

bool any_alike(const std::vector<Row>& rows) {
  std::vector<const Labels*> sorted;
  sorted.reserve(rows.size());
  for (const Row& row : rows)
    sorted.push_back(&row.labels);
  std::sort(sorted.begin(), sorted.end(), [](const Labels* a, const Labels* b) { return *a < *b; });
  return std::adjacent_find(sorted.begin(), sorted.end(), [](const Labels* a, const Labels* b) { return *a == *b; }) !=
         sorted.end();
}

Result<void> merge_alike(std::vector<Row>& rows) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<Row> merged;
  for (Row& row : rows) {
    const auto [at, fresh] = places.try_emplace(key_of(row.labels), merged.size());
    if (fresh) {
      merged.push_back(std::move(row));
      continue;
    }
    std::vector<double>& values = merged[at->second].values;
    for (std::size_t step = 0; step < values.size(); ++step) {
      if (is_absent(row.values[step])) continue;
      if (!is_absent(values[step])) return alike_error();
      values[step] = row.values[step];
    }
  }
  rows = std::move(merged);
  return {};
}

void erase_empty(std::vector<Row>& rows) {
  std::erase_if(rows, [](const Row& row) {
    return std::all_of(row.values.begin(), row.values.end(), [](double value) { return is_absent(value); });
  });
}

double compute(Operator op, double left, double right) {
  switch (op) {
    case Operator::add:
      return left + right;
    case Operator::subtract:
      return left - right;
    case Operator::multiply:
      return left * right;
    case Operator::divide:
      return left / right;
    case Operator::modulo:
      return std::fmod(left, right);
    case Operator::power:
      return std::pow(left, right);
    default:
      return holds(op, left, right) ? 1 : 0;
  }
}

void compute_scalars(Operator op, std::vector<double>& left, std::span<const double> right) {
  for (std::size_t step = 0; step < left.size(); ++step)
    left[step] = compute(op, left[step], right[step]);
}

Result<void> compute_rows(const Node& node, std::vector<Row>& rows, std::span<const double> scalars,
                          bool scalar_is_left) {
  const bool filters = is_comparison(node.op) && !node.returns_bool;
  for (Row& row : rows) {
    for (std::size_t step = 0; step < row.values.size(); ++step) {
      double& value = row.values[step];
      if (is_absent(value)) continue;
      const double left = scalar_is_left ? scalars[step] : value;
      const double right = scalar_is_left ? value : scalars[step];
      if (!filters) {
        value = compute(node.op, left, right);
      } else if (!holds(node.op, left, right)) {
        value = absent;
      }
    }
  }
  if (filters) {
    erase_empty(rows);
    return {};
  }
  if (drop_names(rows)) return merge_alike(rows);
  return {};
}

std::vector<Row> aggregate(const Node& node, std::vector<Row> rows, std::size_t steps) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<Group> groups;
  for (Row& row : rows) {
    Labels labels = group_of(node, row.labels);
    const auto [at, fresh] = places.try_emplace(key_of(labels), groups.size());
    if (fresh) {
      groups.push_back({{std::move(labels), std::vector<double>(steps, absent)}, std::vector<double>(steps, 0)});
    }
    fold_row(node.aggregator, groups[at->second], row);
    row = {};
  }
  std::vector<Row> out;
  out.reserve(groups.size());
  for (Group& group : groups)
    out.push_back(std::move(group.row));
  return out;
}

}  // namespace perjoule::query
