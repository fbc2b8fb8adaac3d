#include "daemon/alerts/rules/rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/quantity_text.hpp"

namespace perjoule::alerts {

namespace {

std::string duration(std::int64_t milliseconds) {
  return config::format_duration(static_cast<double>(milliseconds) / 1000);
}

std::string term_text(const Term& term) {
  std::string text = term.metric;
  for (const Match& match : term.match)
    text +=
        fmt::format("{}{}={}", &match == &term.match.front() ? "{" : ", ", match.label, fmt::join(match.values, "|"));
  if (!term.match.empty()) text += '}';
  if (term.function != Function::last) text = fmt::format("{} of {}", name(term.function), text);
  if (term.window_ms > 0) text += " over " + duration(term.window_ms);
  if (term.aggregation == Aggregation::none) return text;
  return fmt::format("{} by ({}) of {}", name(term.aggregation), fmt::join(term.by, ", "), text);
}

std::string expression_text(const Expression& expression) {
  std::string text = term_text(expression.value);
  if (expression.minus) text = fmt::format("[{}] minus [{}]", text, term_text(*expression.minus));
  if (expression.over) text = fmt::format("[{}] divided by [{}]", text, term_text(*expression.over));
  return text;
}

}  // namespace

std::string_view name(Function function) {
  switch (function) {
    case Function::last:
      return "last";
    case Function::rate:
      return "rate";
    case Function::increase:
      return "increase";
    case Function::delta:
      return "delta";
    case Function::avg:
      return "avg";
    case Function::min:
      return "min";
    case Function::max:
      return "max";
    case Function::age:
      return "age";
  }
  return "";
}

std::string_view name(Aggregation aggregation) {
  switch (aggregation) {
    case Aggregation::none:
      return "";
    case Aggregation::sum:
      return "sum";
    case Aggregation::avg:
      return "avg";
    case Aggregation::min:
      return "min";
    case Aggregation::max:
      return "max";
    case Aggregation::count:
      return "count";
  }
  return "";
}

const std::vector<std::string>& result_labels(const Term& term) {
  return term.aggregation == Aggregation::none ? term.labels : term.by;
}

bool is_fixed(const Term& term, std::string_view label) {
  return std::any_of(term.match.begin(), term.match.end(),
                     [label](const Match& match) { return match.label == label && match.values.size() == 1; });
}

std::vector<std::string> free_labels(const Term& term) {
  std::vector<std::string> labels = result_labels(term);
  std::erase_if(labels, [&term](const std::string& label) { return is_fixed(term, label); });
  return labels;
}

std::vector<const Term*> terms(const Rule& rule) {
  std::vector<const Term*> all;
  const auto add = [&all](const Expression& expression) {
    all.push_back(&expression.value);
    if (expression.minus) all.push_back(&*expression.minus);
    if (expression.over) all.push_back(&*expression.over);
  };
  add(rule.expression);
  for (const Guard& guard : rule.when)
    add(guard.expression);
  return all;
}

bool has_window(const Term& term) {
  return term.function != Function::last && term.function != Function::age;
}

bool is_own_label(std::string_view name) {
  return name == "alertname" || name == "alertstate" || name == "severity";
}

std::string condition_text(const Rule& rule, const Level& level) {
  std::string text = fmt::format("{} {} {}", expression_text(rule.expression), level.above ? ">" : "<", level.raise);
  if (level.for_ms > 0) text += " for " + duration(level.for_ms);
  for (const Guard& guard : rule.when) {
    text +=
        fmt::format(", while {} {} {}", expression_text(guard.expression), guard.above ? ">" : "<", guard.threshold);
  }
  text += level.clear ? fmt::format("; clears {} {}", level.above ? "<" : ">", *level.clear) : "; clears otherwise";
  if (level.clear_for_ms > 0) text += " for " + duration(level.clear_for_ms);
  return text + "; held without data for " + duration(rule.hold_ms);
}

}  // namespace perjoule::alerts
