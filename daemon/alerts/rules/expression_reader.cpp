#include "daemon/alerts/rules/expression_reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule::alerts {

using config::json::Type;

namespace {

constexpr std::size_t name_max = 128;
constexpr std::size_t text_max = 256;  // bytes of a label value; the recorder has the same limit
constexpr std::size_t values_max = 64;
constexpr std::size_t labels_max = 16;
constexpr std::int64_t window_min_ms = 1'000;
constexpr std::int64_t window_max_ms = std::int64_t{7} * 86'400'000;
constexpr std::int64_t age_window_ms = 3'600'000;

constexpr std::array<std::string_view, 9> term_keys = {"metric", "match",  "fn",     "window",  "sum_by",
                                                       "avg_by", "min_by", "max_by", "count_by"};
constexpr std::array functions = {Function::last, Function::rate, Function::increase, Function::delta,
                                  Function::avg,  Function::min,  Function::max,      Function::age};
constexpr std::array aggregations = {Aggregation::sum, Aggregation::avg, Aggregation::min, Aggregation::max,
                                     Aggregation::count};

// Whether the family has a label of this name; if not, refuses it at `where`.
bool check_label(const Family& family, std::string_view label, const JsonCursor& where, bool at_key) {
  if (family.open || std::find(family.labels.begin(), family.labels.end(), label) != family.labels.end()) return true;
  std::string what = fmt::format("{} has no label {}", family.name, text::quoted_short(label));
  std::string help = config::did_you_mean(label, family.labels);
  if (help.empty()) {
    help = family.labels.empty() ? "it has no labels" : fmt::format("its labels: {}", fmt::join(family.labels, ", "));
  }
  at_key ? where.refuse_key(std::move(what), std::move(help)) : where.refuse(std::move(what), std::move(help));
  return false;
}

// One string or a list of strings; empty if refused.
std::vector<std::string> read_values(const JsonCursor& member) {
  std::vector<std::string> values;
  if (member.is(Type::text)) {
    if (auto value = member.text(text_max)) values.push_back(*std::move(value));
  } else if (!member.is(Type::array)) {
    member.refuse("expected a string or a list of strings");
  } else if (member.items().empty()) {
    member.refuse("empty list: nothing would match");
  } else if (member.items().size() > values_max) {
    member.refuse(fmt::format("more than {} values", values_max));
  } else {
    for (const JsonCursor& item : member.items())
      values.push_back(item.text(text_max).value_or(""));
  }
  return values;
}

bool read_match(const JsonCursor& match, const Family& family, Term& term) {
  if (!match.expect(Type::object)) return false;
  bool right = true;
  for (const JsonCursor& member : match.items()) {
    right = check_label(family, member.key(), member, true) && right;
    term.match.push_back({member.key(), read_values(member)});
    right = right && !term.match.back().values.empty();
  }
  return right;
}

// Refuses a function that has no meaning for the metric's kind, and returns false.
bool check_kind(const JsonCursor& function_at, const Family& family, Function function) {
  const std::string_view word = name(function);
  if (family.kind == Kind::gauge && (function == Function::rate || function == Function::increase)) {
    function_at.refuse(fmt::format("{} requires a counter: {} is a gauge", word, family.name), "use \"delta\"");
    return false;
  }
  const bool of_level = function == Function::delta || function == Function::avg || function == Function::min ||
                        function == Function::max;
  if (family.kind == Kind::counter && of_level) {
    function_at.refuse(fmt::format("{} requires a gauge: {} is a counter", word, family.name),
                       "use \"increase\", or \"rate\" for the mean per second");
    return false;
  }
  return true;
}

bool read_function(const JsonCursor& value, const Family& family, Term& term) {
  std::array<std::string_view, functions.size()> words;
  std::transform(functions.begin(), functions.end(), words.begin(), [](Function f) { return name(f); });
  const std::optional<JsonCursor> function_at = value.find("fn");
  if (function_at) {
    const std::optional<std::size_t> index = function_at->word(words);
    if (!index) return false;
    term.function = functions[*index];
    if (!check_kind(*function_at, family, term.function)) return false;
  }
  if (term.function == Function::age) term.window_ms = age_window_ms;
  const std::optional<JsonCursor> window = value.find("window");
  if (!window && has_window(term)) {
    function_at->refuse(fmt::format("{} requires a window", name(term.function)), "add \"window\": \"5m\"");
    return false;
  }
  if (!window) return true;
  if (term.function == Function::last) {
    window->refuse_key("window without a function", "add \"fn\": \"avg\", or remove \"window\"");
    return false;
  }
  const std::optional<std::int64_t> milliseconds = window->duration_ms(window_min_ms, window_max_ms);
  if (milliseconds) term.window_ms = *milliseconds;
  return milliseconds.has_value();
}

bool read_by(const JsonCursor& list, const Family& family, Term& term) {
  if (!list.expect(Type::array)) return false;
  bool right = true;
  for (const JsonCursor& item : list.items()) {
    std::optional<std::string> label = item.text(name_max);
    right = label && check_label(family, *label, item, false) && right;
    if (!label) continue;
    if (std::find(term.by.begin(), term.by.end(), *label) != term.by.end()) {
      item.refuse(fmt::format("duplicate label {}", text::quoted_short(*label)));
      right = false;
    }
    term.by.push_back(*std::move(label));
  }
  if (term.by.size() <= labels_max) return right;
  list.refuse(fmt::format("more than {} labels", labels_max));
  return false;
}

bool read_aggregation(const JsonCursor& value, const Family& family, Term& term) {
  for (const Aggregation aggregation : aggregations) {
    const std::string key = fmt::format("{}_by", name(aggregation));
    const std::optional<JsonCursor> list = value.find(key);
    if (!list) continue;
    if (term.aggregation != Aggregation::none) {
      list->refuse_key(fmt::format("conflicts with {}_by", name(term.aggregation)), "use one aggregation per term");
      return false;
    }
    term.aggregation = aggregation;
    if (!read_by(*list, family, term)) return false;
  }
  return true;
}

std::optional<Term> read_term(const JsonCursor& value, const Catalogue& catalogue) {
  if (!value.expect(Type::object)) return std::nullopt;
  value.expect_members(term_keys);
  const std::optional<JsonCursor> metric = value.find("metric");
  if (!metric) {
    value.refuse("missing \"metric\"");
    return std::nullopt;
  }
  std::optional<std::string> name = metric->text(name_max);
  if (!name) return std::nullopt;
  const auto family = catalogue.find(*name);
  if (family == catalogue.end()) {
    std::vector<std::string_view> known;
    for (const auto& [known_name, ignored] : catalogue)
      known.push_back(known_name);
    std::string help = config::did_you_mean(*name, known);
    if (help.empty()) help = "`perjouled describe metrics` lists them";
    metric->refuse(fmt::format("unknown metric {}", text::quoted_short(*name)), std::move(help));
    return std::nullopt;
  }
  Term term;
  term.metric = *std::move(name);
  term.labels.assign(family->second.labels.begin(), family->second.labels.end());
  const std::optional<JsonCursor> match = value.find("match");
  bool right = !match || read_match(*match, family->second, term);
  right = read_function(value, family->second, term) && right;
  right = read_aggregation(value, family->second, term) && right;
  const std::string_view how = family->second.how;
  if (!how.empty() && term.aggregation == Aggregation::none && term.match.empty()) {
    term.aggregation = Aggregation::max;
    std::copy_if(term.labels.begin(), term.labels.end(), std::back_inserter(term.by),
                 [&](const std::string& label) { return label != how; });
  }
  if (family->second.open && term.aggregation == Aggregation::none) {
    metric->refuse(fmt::format("the labels of {} are not final yet", term.metric), "aggregate it: \"sum_by\": [..]");
    right = false;
  }
  return right ? std::optional(std::move(term)) : std::nullopt;
}

}  // namespace

bool check_join(const Term& value, const Term& partner, const JsonCursor& where) {
  const std::vector<std::string> shared = free_labels(value);
  for (const std::string& label : free_labels(partner)) {
    if (std::find(shared.begin(), shared.end(), label) != shared.end()) continue;
    where.refuse(fmt::format("ambiguous join: {} can have several series, because {} does not share its label {}",
                             partner.metric, value.metric, label),
                 fmt::format("select one value with \"match\": {{ \"{}\": .. }}, or aggregate with \"max_by\"", label));
    return false;
  }
  return true;
}

std::optional<Expression> read_expression(const JsonCursor& owner, const Catalogue& catalogue) {
  const std::optional<JsonCursor> value = owner.find("value");
  const std::optional<JsonCursor> minus = owner.find("minus");
  const std::optional<JsonCursor> over = owner.find("over");
  if (!value) owner.refuse("missing \"value\"");
  Expression expression;
  const std::optional<Term> base = value ? read_term(*value, catalogue) : std::nullopt;
  bool right = base.has_value();
  const auto read_partner = [&](const std::optional<JsonCursor>& at, std::optional<Term>& into) {
    if (!at) return;
    into = read_term(*at, catalogue);
    right = into && right && check_join(*base, *into, *at);
  };
  read_partner(minus, expression.minus);
  read_partner(over, expression.over);
  if (!right) return std::nullopt;
  expression.value = *base;
  return expression;
}

}  // namespace perjoule::alerts
