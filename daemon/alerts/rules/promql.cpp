#include "daemon/alerts/rules/promql.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/quantity_text.hpp"
#include "daemon/alerts/rules/summary.hpp"

namespace perjoule::alerts {

namespace {

std::string duration(std::int64_t milliseconds) {
  return config::format_duration(static_cast<double>(milliseconds) / 1000);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out + '"';
}

std::string regex_of(const std::vector<std::string>& values) {
  std::string pattern;
  for (const std::string& value : values) {
    if (!pattern.empty()) pattern += '|';
    for (const char c : value) {
      if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
  }
  return pattern;
}

std::string selector(const Term& term) {
  std::vector<std::string> matchers;
  for (const Match& match : term.match) {
    matchers.push_back(match.values.size() == 1 ? fmt::format("{}={}", match.label, quoted(match.values.front()))
                                                : fmt::format("{}=~{}", match.label, quoted(regex_of(match.values))));
  }
  return matchers.empty() ? term.metric : fmt::format("{}{{{}}}", term.metric, fmt::join(matchers, ", "));
}

// A function over its window. With `held_ms` > 0: its last value within that time.
std::string function_text(const Term& term, std::int64_t held_ms) {
  const std::string series = selector(term);
  std::string text;
  switch (term.function) {
    case Function::last:
      return held_ms > 0 ? fmt::format("last_over_time({}[{}])", series, duration(held_ms)) : series;
    case Function::age:
      if (held_ms > 0) {
        return fmt::format("(time() - max_over_time(timestamp({})[{}:1m]))", series,
                           duration(term.window_ms + held_ms));
      }
      return fmt::format("(time() - timestamp({0}) or time() - max_over_time(timestamp({0})[{1}:15s]))", series,
                         duration(term.window_ms));
    case Function::avg:
    case Function::min:
    case Function::max:
      text = fmt::format("{}_over_time({}[{}])", name(term.function), series, duration(term.window_ms));
      break;
    default:
      text = fmt::format("{}({}[{}])", name(term.function), series, duration(term.window_ms));
      break;
  }
  return held_ms > 0 ? fmt::format("last_over_time({}[{}:1m])", text, duration(held_ms)) : text;
}

std::vector<std::string> without(std::vector<std::string> all, const std::vector<std::string>& some) {
  std::erase_if(all,
                [&some](const std::string& label) { return std::find(some.begin(), some.end(), label) != some.end(); });
  return all;
}

// `without` instead of `by`, because it keeps the target labels (instance, job and any that the user adds). A family
// with open labels has no list of labels to remove: there, instance and job are kept by name.
std::string term_text(const Term& term, std::int64_t held_ms) {
  std::string text = function_text(term, held_ms);
  if (term.aggregation == Aggregation::none) return text;
  if (term.labels.empty() && !term.by.empty()) {
    return fmt::format("{} by (instance, job, {}) ({})", name(term.aggregation), fmt::join(term.by, ", "), text);
  }
  return fmt::format("{} without ({}) ({})", name(term.aggregation), fmt::join(without(term.labels, term.by), ", "),
                     text);
}

// " ignoring (a, b)" with the labels on which two terms are not joined; "" if they have the same labels.
std::string ignoring(const Term& left, const Term& right) {
  const std::vector<std::string> shared = without(free_labels(left), without(free_labels(left), free_labels(right)));
  std::vector<std::string> ignored = without(result_labels(left), shared);
  for (std::string& label : without(without(result_labels(right), shared), ignored))
    ignored.push_back(std::move(label));
  return ignored.empty() ? "" : fmt::format(" ignoring ({})", fmt::join(ignored, ", "));
}

std::string combined(std::string text, std::string_view sign, const Term& value, const Term& partner,
                     std::int64_t held_ms) {
  const std::string joined = ignoring(value, partner);
  return fmt::format("{} {}{}{} {}", text, sign, joined, joined.empty() ? "" : " group_left ()",
                     term_text(partner, held_ms));
}

std::string expression_text(const Expression& expression, std::int64_t held_ms) {
  std::string text = term_text(expression.value, held_ms);
  if (expression.minus) text = combined(std::move(text), "-", expression.value, *expression.minus, held_ms);
  if (expression.minus && expression.over) text = "(" + text + ")";
  if (expression.over) text = combined(std::move(text), "/", expression.value, *expression.over, held_ms);
  return text;
}

// The guards, to be appended to an expression. `compared`: they must be true; otherwise they only must have data.
std::string guards_text(const Rule& rule, bool compared, std::int64_t held_ms) {
  std::string text;
  for (const Guard& guard : rule.when) {
    text += fmt::format(" and{} {}", ignoring(rule.expression.value, guard.expression.value),
                        expression_text(guard.expression, held_ms));
    if (compared) text += fmt::format(" {} {}", guard.above ? ">" : "<", guard.threshold);
  }
  return text;
}

std::string number(double value) {
  return config::format_number(value);
}

std::string yaml_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? "''" : c < ' ' && c >= 0 ? " " : std::string(1, c);
  return out + "'";
}

std::string table_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string promql(const Rule& rule, const Level& level) {
  const std::string base = expression_text(rule.expression, 0);
  const std::string true_guards = guards_text(rule, true, 0);
  const std::string firing = fmt::format(
      "and ignoring (alertname, alertstate, severity) ALERTS{{alertname=\"{}\", alertstate=\"firing\", "
      "severity=\"{}\"}}",
      rule.name, level.severity);
  std::string text = fmt::format("{} {} {}{}", base, level.above ? ">" : "<", number(level.raise), true_guards);
  if (level.clear) {
    text += fmt::format("\nor\n{} {} {}{}\n  {}", base, level.above ? ">=" : "<=", number(*level.clear), true_guards,
                        firing);
  }
  const std::int64_t held_ms = rule.hold_ms - level.clear_for_ms;
  if (held_ms > 0) {
    text += fmt::format("\nor\n{}{}\n  {}\n  unless ({}{})", expression_text(rule.expression, held_ms),
                        guards_text(rule, false, held_ms), firing, base, guards_text(rule, false, 0));
  }
  return text;
}

Labels template_annotations(const Rule& rule) {
  Labels annotations = {{"summary", summary_template(rule.summary)}};
  if (!rule.runbook.empty())
    annotations.emplace_back(rule.runbook.starts_with("http") ? "runbook_url" : "runbook", rule.runbook);
  return annotations;
}

std::string describe_rules(std::span<const Rule> rules) {
  std::string out =
      "# Written by `perjouled describe rules`: the daemon's alert rules for Prometheus 2.42 and later.\n"
      "# Keep the evaluation interval below Prometheus' lookback (5m): the hysteresis reads the ALERTS series.\n"
      "groups:\n"
      "  - name: perjoule\n"
      "    rules:\n";
  for (const Rule& rule : rules) {
    for (const Level& level : rule.levels) {
      out += fmt::format("      - alert: {}\n        expr: |-\n", rule.name);
      const std::string expr = promql(rule, level);
      for (std::string_view rest = expr; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        out += fmt::format("          {}\n", rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      if (level.for_ms > 0) out += fmt::format("        for: {}\n", duration(level.for_ms));
      if (level.clear_for_ms > 0) out += fmt::format("        keep_firing_for: {}\n", duration(level.clear_for_ms));
      out += fmt::format("        labels:\n          severity: {}\n        annotations:\n", level.severity);
      for (const auto& [name, text] : template_annotations(rule))
        out += fmt::format("          {}: {}\n", name, yaml_quoted(text));
    }
  }
  return out;
}

std::string describe_alerts(std::span<const Rule> rules) {
  std::string out =
      "# Alerts\n\nWritten by `perjouled describe alerts`: the rules in force. Of the alerts of one cause one is sent "
      "for each GPU,\nor one for the node: the gravest, else the one that is further up.\n\n"
      "| alert | severity | condition | summary | runbook | cause |\n|---|---|---|---|---|---|\n";
  for (const Rule& rule : rules) {
    for (const Level& level : rule.levels) {
      out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", rule.name, level.severity,
                         table_cell(condition_text(rule, level)), table_cell(rule.summary), table_cell(rule.runbook),
                         rule.cause);
    }
  }
  return out;
}

}  // namespace perjoule::alerts
