#include "daemon/alerts/rules/rule_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "config/suggestion.hpp"
#include "config/text.hpp"
#include "daemon/alerts/rules/default_rules.hpp"
#include "daemon/alerts/rules/expression_reader.hpp"
#include "daemon/alerts/rules/summary.hpp"

namespace perjoule::alerts {

using config::json::Type;

namespace {

constexpr std::size_t name_max = 128;
constexpr std::size_t summary_max = 1024;
constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t for_max_ms = 31 * day_ms;
constexpr std::int64_t hold_max_ms = 7 * day_ms;
constexpr std::int64_t hold_default_ms = 900'000;

constexpr std::array<std::string_view, 12> rule_keys = {"alert",  "enabled",    "value", "minus",   "over",    "when",
                                                        "levels", "on_absence", "hold",  "summary", "runbook", "cause"};
constexpr std::array<std::string_view, 5> guard_keys = {"value", "minus", "over", "above", "below"};
constexpr std::array<std::string_view, 7> level_keys = {"severity",    "raise_above", "raise_below", "clear_above",
                                                        "clear_below", "for",         "clear_for"};
constexpr std::array<std::string_view, 2> absences = {"hold", "resolve"};
constexpr std::array<std::string_view, 3> severities = {"info", "warning", "critical"};

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
constexpr std::string_view name_characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
constexpr std::string_view page_characters = "abcdefghijklmnopqrstuvwxyz0123456789-";

bool only(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

// The member that is present; refused if both are present or neither is.
std::optional<JsonCursor> one_of(const JsonCursor& owner, std::string_view first, std::string_view second) {
  std::optional<JsonCursor> above = owner.find(first);
  std::optional<JsonCursor> below = owner.find(second);
  if (above && below) {
    below->refuse_key(fmt::format("conflicts with {}", first), "use one of the two");
    return std::nullopt;
  }
  if (!above && !below) owner.refuse(fmt::format("missing \"{}\" or \"{}\"", first, second));
  return above ? std::move(above) : std::move(below);
}

void read_clear(const JsonCursor& cursor, Level& level) {
  const std::string_view right = level.above ? "clear_below" : "clear_above";
  const std::string_view wrong = level.above ? "clear_above" : "clear_below";
  const std::string_view raise = level.above ? "raise_above" : "raise_below";
  if (const auto other = cursor.find(wrong))
    other->refuse_key(fmt::format("cannot be combined with {}", raise), fmt::format("use \"{}\"", right));
  const auto clear = cursor.find(right);
  if (!clear) return;
  level.clear = clear->number();
  if (!level.clear) return;
  const bool inside = level.above ? *level.clear <= level.raise : *level.clear >= level.raise;
  if (!inside) {
    clear->refuse(fmt::format("{} is on the wrong side of {} {}: one value could raise and clear", *level.clear, raise,
                              level.raise),
                  fmt::format("must be at {} {}", level.above ? "most" : "least", level.raise));
  }
}

std::optional<Level> read_level(const JsonCursor& cursor) {
  if (!cursor.expect(Type::object)) return std::nullopt;
  cursor.expect_members(level_keys);
  Level level;
  const auto severity = cursor.find("severity");
  if (!severity) cursor.refuse("missing \"severity\"");
  const auto word = severity ? severity->word(severities) : std::nullopt;
  const auto raise = one_of(cursor, "raise_above", "raise_below");
  const auto threshold = raise ? raise->number() : std::nullopt;
  if (threshold) {
    level.above = raise->key() == "raise_above";
    level.raise = *threshold;
    read_clear(cursor, level);
  }
  if (const auto at = cursor.find("for")) level.for_ms = at->duration_ms(0, for_max_ms).value_or(0);
  if (const auto at = cursor.find("clear_for")) level.clear_for_ms = at->duration_ms(0, for_max_ms).value_or(0);
  if (!word || !threshold) return std::nullopt;
  level.severity = severities[*word];
  return level;
}

void read_levels(const JsonCursor& cursor, Rule& rule) {
  const auto levels = cursor.find("levels");
  if (!levels) return cursor.refuse("missing \"levels\"");
  if (!levels->expect(Type::array)) return;
  if (levels->items().empty()) levels->refuse("empty list: the rule could never fire");
  for (const JsonCursor& item : levels->items()) {
    std::optional<Level> level = read_level(item);
    if (!level) continue;
    const bool twice = std::any_of(rule.levels.begin(), rule.levels.end(),
                                   [&](const Level& before) { return before.severity == level->severity; });
    if (twice) item.refuse(fmt::format("duplicate severity {}", level->severity), "use one level per severity");
    rule.levels.push_back(*std::move(level));
  }
}

void read_guard(const JsonCursor& cursor, const Catalogue& catalogue, const std::optional<Expression>& base,
                Rule& rule) {
  if (!cursor.expect(Type::object)) return;
  cursor.expect_members(guard_keys);
  std::optional<Expression> expression = read_expression(cursor, catalogue);
  const auto side = one_of(cursor, "above", "below");
  const auto threshold = side ? side->number() : std::nullopt;
  if (!expression || !threshold || !base) return;
  if (!check_join(base->value, expression->value, *cursor.find("value"))) return;
  rule.when.push_back({*std::move(expression), side->key() == "above", *threshold});
}

void read_guards(const JsonCursor& cursor, const Catalogue& catalogue, const std::optional<Expression>& base,
                 Rule& rule) {
  const auto when = cursor.find("when");
  if (!when || !when->expect(Type::array)) return;
  if (when->items().size() > guards_max) return when->refuse(fmt::format("more than {} guards", guards_max));
  for (const JsonCursor& item : when->items())
    read_guard(item, catalogue, base, rule);
}

// Refuses a free label that has the name of a label that the daemon sets on every alert.
void check_labels(const JsonCursor& cursor, const Term& value) {
  for (const std::string& label : free_labels(value)) {
    if (!is_own_label(label)) continue;
    cursor.find("value")->refuse(fmt::format("label {} is reserved: the daemon sets it on every alert", label),
                                 "select one value with \"match\", or remove the label with \"sum_by\"");
  }
}

void check_summary(const JsonCursor& at, std::string_view text, const Term& value) {
  std::vector<std::string_view> known(result_labels(value).begin(), result_labels(value).end());
  known.insert(known.end(), value_placeholders.begin(), value_placeholders.end());
  while (true) {
    const std::size_t open = text.find_first_of("{}");
    if (open == std::string_view::npos) return;
    const std::size_t close = text.find('}', open);
    if (text[open] == '}' || close == std::string_view::npos)
      return at.refuse("unbalanced brace", "placeholders are {value} and {LABEL}");
    const std::string_view name = text.substr(open + 1, close - open - 1);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string help = config::did_you_mean(name, known);
      if (help.empty()) help = fmt::format("known placeholders: {}", fmt::join(known, ", "));
      at.refuse(fmt::format("unknown placeholder {}", text::quoted_short(name)), std::move(help));
    }
    text.remove_prefix(close + 1);
  }
}

// What happens to a firing alert whose series are gone.
void read_absence(const JsonCursor& cursor, Rule& rule) {
  rule.hold_ms = hold_default_ms;
  const auto hold = cursor.find("hold");
  if (hold) rule.hold_ms = hold->duration_ms(0, hold_max_ms).value_or(0);
  for (const Level& level : rule.levels)
    rule.hold_ms = std::max(rule.hold_ms, level.clear_for_ms);
  const auto at = cursor.find("on_absence");
  const auto word = at ? at->word(absences) : std::nullopt;
  if (!word || absences[*word] == "hold") return;
  if (hold) hold->refuse_key("conflicts with on_absence resolve", "use one of the two");
  rule.hold_ms = 0;
}

void read_cause(const JsonCursor& cursor, Rule& rule) {
  const auto cause = cursor.find("cause");
  if (!cause) return;
  rule.cause = cause->text(name_max).value_or("");
  if (only(rule.cause, page_characters)) return;
  cause->refuse(fmt::format("{} is not a valid cause", text::quoted_short(rule.cause)),
                "use lower-case letters, digits and -, such as \"gpu-heat\"");
}

void read_texts(const JsonCursor& cursor, const std::optional<Expression>& base, Rule& rule) {
  const auto summary = cursor.find("summary");
  if (summary) {
    rule.summary = summary->text(summary_max).value_or("");
    if (base) check_summary(*summary, rule.summary, base->value);
  } else if (base) {
    rule.summary = rule.name + ": {value}";
    for (const std::string& label : free_labels(base->value))
      rule.summary += fmt::format(", {} {{{}}}", label, label);
  }
  const auto runbook = cursor.find("runbook");
  if (!runbook) return;
  rule.runbook = runbook->text(summary_max).value_or("");
  const bool url = rule.runbook.starts_with("http://") || rule.runbook.starts_with("https://");
  if (!url && !only(rule.runbook, page_characters)) {
    runbook->refuse(fmt::format("{} is neither a runbook page name nor a URL", text::quoted_short(rule.runbook)),
                    "a page name has lower-case letters, digits and -; a URL begins with http:// or https://");
  }
}

class Reader {
 public:
  Reader(const Catalogue& catalogue, std::span<const std::string_view> defaults, RuleList& list)
      : catalogue_(catalogue), defaults_(defaults), list_(list) {}

  void read(const JsonCursor& cursor) {
    if (!cursor.expect(Type::object)) return;
    cursor.expect_members(rule_keys);
    Rule rule;
    if (!read_name(cursor, rule)) return;
    const auto enabled_at = cursor.find("enabled");
    const bool enabled = !enabled_at || enabled_at->boolean().value_or(true);
    if (!enabled && !cursor.find("value") && !cursor.find("levels")) return switch_off(cursor, rule.name);
    const std::optional<Expression> expression = read_expression(cursor, catalogue_);
    read_guards(cursor, catalogue_, expression, rule);
    read_levels(cursor, rule);
    read_absence(cursor, rule);
    read_cause(cursor, rule);
    read_texts(cursor, expression, rule);
    if (!expression) return;
    check_labels(cursor, expression->value);
    rule.expression = *expression;
    if (enabled) {
      list_.rules.push_back(std::move(rule));
    } else {
      list_.disabled.push_back(std::move(rule.name));
    }
  }

 private:
  bool read_name(const JsonCursor& cursor, Rule& rule) {
    const auto alert = cursor.find("alert");
    if (!alert) {
      cursor.refuse("missing \"alert\"", "the name of the alert");
      return false;
    }
    rule.name = alert->text(name_max).value_or("");
    if (rule.name.empty()) return false;
    if (!only(rule.name, name_characters) || letters.find(rule.name.front()) == std::string_view::npos) {
      alert->refuse(fmt::format("{} is not a valid alert name", text::quoted_short(rule.name)),
                    "use letters, digits and _, with no digit first, such as PerjouleGpuLost");
      return false;
    }
    const auto [before, fresh] = lines_.emplace(rule.name, alert->line());
    if (!fresh) alert->refuse(fmt::format("duplicate alert name {}, first in line {}", rule.name, before->second));
    return fresh;
  }

  void switch_off(const JsonCursor& cursor, std::string name) {
    if (std::find(defaults_.begin(), defaults_.end(), name) == defaults_.end()) {
      std::string help = config::did_you_mean(name, defaults_);
      if (help.empty()) help = "`perjouled describe alerts` lists them";
      return cursor.find("alert")->refuse("no default rule has this name", std::move(help));
    }
    list_.disabled.push_back(std::move(name));
  }

  const Catalogue& catalogue_;
  std::span<const std::string_view> defaults_;
  RuleList& list_;
  std::map<std::string, std::size_t> lines_;  // line of the first rule with this name
};

std::vector<std::string_view> default_names() {
  std::vector<std::string_view> names;
  for (const Rule& rule : default_rules())
    names.push_back(rule.name);
  return names;
}

}  // namespace

RuleList read_rules(const config::json::Value& list, const Catalogue& catalogue,
                    std::span<const std::string_view> defaults) {
  RuleList read;
  const JsonCursor cursor(list, "alerts.rules", read.problems);
  if (!cursor.expect(Type::array)) return read;
  Reader reader(catalogue, defaults, read);
  if (list.items.size() > rules_max) cursor.refuse(fmt::format("more than {} rules", rules_max));
  for (const JsonCursor& item : cursor.items())
    reader.read(item);
  return read;
}

std::vector<config::json::Problem> examine_rules(const config::json::Value& list) {
  return read_rules(list, catalogue(), default_names()).problems;
}

namespace {

RuleList own_rules(const config::Alerts& settings) {
  const config::json::Document document = config::json::read(settings.rules);
  return document.root ? read_rules(*document.root, catalogue(), default_names()) : RuleList();
}

}  // namespace

std::vector<Rule> configured_rules(const config::Alerts& settings) {
  return own_rules(settings).rules;
}

std::vector<Rule> rules_in_force(const config::Alerts& settings) {
  RuleList own = own_rules(settings);
  std::vector<Rule> rules;
  for (const Rule& rule : default_rules()) {
    const bool replaced =
        std::any_of(own.rules.begin(), own.rules.end(), [&](const Rule& mine) { return mine.name == rule.name; });
    const bool off = std::find(own.disabled.begin(), own.disabled.end(), rule.name) != own.disabled.end();
    if (settings.default_rules && !replaced && !off) rules.push_back(rule);
  }
  std::move(own.rules.begin(), own.rules.end(), std::back_inserter(rules));
  return rules;
}

}  // namespace perjoule::alerts
