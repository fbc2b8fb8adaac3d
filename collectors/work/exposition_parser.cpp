#include "collectors/work/exposition_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "collectors/work/exposition_text.hpp"

namespace perjoule {

namespace {

using namespace exposition;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool starts_label(char c) {
  return is_letter(c) || c == '_';
}
constexpr bool starts_metric(char c) {
  return starts_label(c) || c == ':';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// A cursor over the input. Each function that returns bool returns whether to continue; on false `error_` is set.
class Parser {
 public:
  Parser(std::string_view text, Dialect dialect, ExpositionSink& sink) : text_(text), dialect_(dialect), sink_(sink) {
    values_.reserve(labels_max * label_value_max);  // never grows: the labels hold views of it
    labels_.reserve(labels_max);
  }
  std::optional<ExpositionError> run();

 private:
  bool line();
  bool comment();
  bool metadata(std::string_view keyword);
  bool begin_family(std::string_view name, std::size_t at);
  bool set_help(std::size_t at, std::string_view text);
  bool set_type(std::size_t at, std::string_view word);
  bool sample();
  bool belongs(std::string_view metric, std::size_t at);
  bool labels();
  bool label();
  bool label_value(std::string_view* out);
  bool timestamp(std::optional<double>* out);
  bool exemplar(std::string_view metric);

  bool open() const { return dialect_ == Dialect::openmetrics; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool at_end_of_line() const { return peek() == '\n'; }
  bool take(char c) { return peek() == c && at_ < text_.size() ? (++at_, true) : false; }
  void skip_blanks() {
    while (is_blank(peek()))
      ++at_;
  }
  // The separator of two tokens: one space in OpenMetrics, blanks in 0.0.4.
  bool blank() {
    if (!take(' ') && (open() || !take('\t'))) return fail(at_, "expected a space");
    if (!open()) skip_blanks();
    return true;
  }
  std::string_view next_token() const {
    return text_.substr(at_, std::min(text_.find_first_of(" \t\n", at_), text_.size()) - at_);
  }
  std::string_view token() {
    const std::string_view next = next_token();
    at_ += next.size();
    return next;
  }
  template <class Starts>
  std::string_view name(Starts starts) {
    const std::size_t start = at_;
    if (starts(peek())) {
      while (starts(peek()) || is_digit(peek()))
        ++at_;
    }
    return text_.substr(start, at_ - start);
  }
  bool end_line() {
    if (!open()) skip_blanks();
    if (at_ == text_.size()) return fail(at_, "the last line does not end in a line feed: the input is truncated");
    if (!at_end_of_line()) return fail(at_, fmt::format("expected the end of the line, found {}", shown(next_token())));
    ++at_;
    return true;
  }
  bool fail(std::size_t at, std::string what);

  std::string_view text_;
  Dialect dialect_;
  ExpositionSink& sink_;
  std::size_t at_ = 0;
  bool finished_ = false;  // behind "# EOF"
  ExpositionFamily family_;
  bool family_has_type_ = false;
  bool family_has_help_ = false;
  bool family_has_samples_ = false;
  std::string help_;
  std::unordered_set<std::string_view> families_;
  std::vector<ExpositionLabel> labels_;
  std::string values_;
  std::size_t samples_ = 0;
  std::optional<ExpositionError> error_;
};

bool Parser::fail(std::size_t at, std::string what) {
  const std::string_view before = text_.substr(0, at);
  const std::size_t line_feed = before.rfind('\n');
  const std::size_t line_start = line_feed == std::string_view::npos ? 0 : line_feed + 1;
  const auto lines = static_cast<std::size_t>(std::ranges::count(before, '\n'));
  error_ = ExpositionError{lines + 1, at - line_start + 1, std::move(what)};
  return false;
}

std::optional<ExpositionError> Parser::run() {
  if (text_.size() > text_max) {
    fail(0, fmt::format("the input has {} bytes; at most {} are read", text_.size(), text_max));
    return error_;
  }
  const std::size_t bad = find_bad_byte(text_);
  if (bad != std::string_view::npos) {
    fail(bad, fmt::format("byte {} is not valid UTF-8", shown(text_.substr(bad, 1))));
    return error_;
  }
  while (at_ < text_.size()) {
    if (!line()) return error_;
  }
  if (open() && !finished_) fail(at_, "the line \"# EOF\" is missing: the input is truncated");
  return error_;
}

bool Parser::line() {
  if (finished_) return fail(at_, "no line may follow \"# EOF\"");
  if (!open()) skip_blanks();
  if (peek() == '#') return comment();
  if (!at_end_of_line()) return sample();
  return open() ? fail(at_, "OpenMetrics has no empty lines") : end_line();
}

bool Parser::comment() {
  const std::size_t start = at_;
  ++at_;
  if (open() && !take(' ')) return fail(at_, "expected a space after '#'");
  skip_blanks();
  const std::string_view keyword = token();
  if (open() && keyword == "EOF") {
    finished_ = true;
    return at_ == text_.size() || end_line();  // its line feed may be missing
  }
  if (keyword == "HELP" || keyword == "TYPE" || (open() && keyword == "UNIT")) return metadata(keyword);
  if (open()) return fail(start, "OpenMetrics allows no comments other than HELP, TYPE, UNIT and EOF");
  at_ = std::min(text_.find('\n', at_), text_.size());
  return end_line();
}

bool Parser::metadata(std::string_view keyword) {
  if (!blank()) return false;
  const std::size_t name_at = at_;
  const std::string_view family = name(starts_metric);
  if (family.empty()) return fail(name_at, fmt::format("expected a metric name, found {}", shown(next_token())));
  if (!begin_family(family, name_at)) return false;
  const bool empty_help = keyword == "HELP" && at_end_of_line();
  if (!empty_help && !blank()) return false;
  const std::size_t rest_at = at_;
  at_ = std::min(text_.find('\n', at_), text_.size());
  std::string_view rest = text_.substr(rest_at, at_ - rest_at);
  if (keyword == "HELP") return set_help(name_at, rest) && end_line();
  while (!open() && !rest.empty() && is_blank(rest.back()))
    rest.remove_suffix(1);
  if (keyword == "TYPE") return set_type(rest_at, rest) && end_line();
  const bool suffixed =
      family.size() > rest.size() && family.ends_with(rest) && family[family.size() - rest.size() - 1] == '_';
  if (!rest.empty() && !suffixed)
    return fail(rest_at, fmt::format("the family's name does not end in its unit {}", shown(rest)));
  family_.unit = rest;
  return end_line();
}

bool Parser::begin_family(std::string_view name, std::size_t at) {
  if (name == family_.name)
    return !family_has_samples_ ||
           fail(at, fmt::format("a line # HELP, TYPE or UNIT after samples of {}: put it before them", shown(name)));
  if (families_.size() == families_max) return fail(at, fmt::format("more than {} families", families_max));
  if (!families_.insert(name).second) {
    return fail(at, fmt::format("family {} appears again: its lines must be contiguous", shown(name)));
  }
  family_ = ExpositionFamily{name, FamilyType::untyped, {}, {}};
  family_has_type_ = family_has_help_ = family_has_samples_ = false;
  return true;
}

bool Parser::set_help(std::size_t at, std::string_view text) {
  if (family_has_help_) return fail(at, "a second HELP line for this family");
  family_has_help_ = true;
  help_.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const bool escape = next == '\\' || next == 'n' || (open() && next == '"');
    help_.push_back(escape ? (next == 'n' ? '\n' : next) : text[i]);
    if (escape) ++i;
  }
  family_.help = help_;
  return true;
}

bool Parser::set_type(std::size_t at, std::string_view word) {
  if (family_has_type_) return fail(at, "a second TYPE line for this family");
  const std::optional<FamilyType> type = parse_type(word, dialect_);
  if (!type) return fail(at, fmt::format("unknown type {}", shown(word)));
  family_.type = *type;
  family_has_type_ = true;
  return true;
}

bool Parser::sample() {
  const std::size_t start = at_;
  const std::string_view metric = name(starts_metric);
  if (metric.empty()) return fail(at_, fmt::format("expected a metric name, found {}", shown(next_token())));
  if (!belongs(metric, start)) return false;
  if (++samples_ > samples_max) return fail(start, fmt::format("more than {} samples", samples_max));
  labels_.clear();
  values_.clear();
  const std::size_t name_end = at_;
  if (!open()) skip_blanks();
  const bool labelled = take('{');
  if (labelled && !labels()) return false;
  if (!labelled) at_ = name_end;
  if (labelled && !open()) {
    skip_blanks();
  } else if (!blank()) {
    return false;
  }
  const std::size_t value_at = at_;
  const std::string_view number = token();
  const std::optional<double> value = parse_number(number);
  if (!value) return fail(value_at, fmt::format("{} is not a number that a double can hold", shown(number)));
  std::optional<double> time;
  if (!timestamp(&time)) return false;
  const std::string refusal = sink_.sample({metric, labels_, *value, time, family_});
  if (!refusal.empty()) return fail(start, refusal);
  return (!open() || at_end_of_line() || exemplar(metric)) && end_line();
}

// A sample that does not belong to the current family begins an untyped family of its own name.
bool Parser::belongs(std::string_view metric, std::size_t at) {
  const bool ours = !family_.name.empty() && metric.starts_with(family_.name) &&
                    has_suffix(family_.type, dialect_, metric.substr(family_.name.size()));
  if (!ours && metric == family_.name)
    return fail(at, "a family of this type has no sample without a suffix such as _total or _bucket");
  if (!ours && !begin_family(metric, at)) return false;
  family_has_samples_ = true;
  return true;
}

// From after '{' to after '}'. 0.0.4 allows blanks, and a comma after the last label.
bool Parser::labels() {
  for (bool first = true;; first = false) {
    if (!open()) skip_blanks();
    if ((first || !open()) && take('}')) return true;
    if (!label()) return false;
    if (!open()) skip_blanks();
    if (take('}')) return true;
    if (!take(',')) return fail(at_, "expected ',' or '}' after a label");
  }
}

bool Parser::label() {
  const std::size_t start = at_;
  const std::string_view key = name(starts_label);
  if (key.empty()) return fail(start, "expected a label name");
  if (key == "__name__") return fail(start, "the label __name__ is reserved for the metric's name");
  if (labels_.size() == labels_max) return fail(start, fmt::format("more than {} labels", labels_max));
  for (const ExpositionLabel& other : labels_) {
    if (other.name == key) return fail(start, fmt::format("label {} appears twice", shown(key)));
  }
  if (!open()) skip_blanks();
  if (!take('=')) return fail(at_, "expected '=' after the label's name");
  if (!open()) skip_blanks();
  std::string_view value;
  if (!label_value(&value)) return false;
  labels_.push_back({key, value});
  return true;
}

bool Parser::label_value(std::string_view* out) {
  if (!take('"')) return fail(at_, "expected a label value in double quotes");
  const std::size_t start = at_;
  const std::size_t stored = values_.size();
  while (!take('"')) {
    if (at_end_of_line()) return fail(start - 1, "the label value has no closing quote");
    if (values_.size() - stored == label_value_max) {
      return fail(start, fmt::format("a label value longer than {} bytes", label_value_max));
    }
    char c = text_[at_++];
    if (c == '\\') {
      const char next = peek();
      if (next == '\\' || next == '"' || next == 'n') {
        c = next == 'n' ? '\n' : next;
        ++at_;
      } else if (!open()) {  // in OpenMetrics a backslash before any other character is kept as it is
        return fail(at_ - 1, "the escapes of a label value are \\\\, \\\" and \\n");
      }
    }
    values_.push_back(c);
  }
  *out = std::string_view(values_).substr(stored);
  return true;
}

// Timestamps are whole milliseconds in 0.0.4 and seconds in OpenMetrics.
bool Parser::timestamp(std::optional<double>* out) {
  if (!open()) skip_blanks();
  if (at_end_of_line()) return true;
  if (open() && text_.substr(at_).starts_with(" #")) return true;
  if (open() && !blank()) return false;
  const std::size_t start = at_;
  const std::string_view word = token();
  if (open()) {
    *out = parse_number(word);
    return (*out && std::isfinite(**out)) || fail(start, fmt::format("{} is not a timestamp in seconds", shown(word)));
  }
  std::int64_t milliseconds = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), milliseconds);
  if (error != std::errc() || end != word.data() + word.size()) {
    return fail(start, fmt::format("{} is not a timestamp in whole milliseconds", shown(word)));
  }
  *out = static_cast<double>(milliseconds) / 1e3;
  return true;
}

// " # {labels} value [timestamp]", allowed on _total and _bucket samples only.
bool Parser::exemplar(std::string_view metric) {
  const std::size_t start = at_;
  if (!take(' ') || !take('#') || !take(' ') || !take('{'))
    return fail(start, "expected an exemplar or the end of the line");
  if (!metric.ends_with("_total") && !metric.ends_with("_bucket")) {
    return fail(start, "only counters and buckets have exemplars");
  }
  labels_.clear();
  values_.clear();
  if (!labels() || !blank()) return false;
  const std::size_t value_at = at_;
  const std::string_view number = token();
  if (!parse_number(number)) return fail(value_at, fmt::format("{} is not a number", shown(number)));
  std::optional<double> time;
  return timestamp(&time);
}

}  // namespace

std::optional<ExpositionError> parse_exposition(std::string_view text, Dialect dialect, ExpositionSink& sink) {
  return Parser(text, dialect, sink).run();
}

Dialect dialect_of(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text == "# EOF" || text.ends_with("\n# EOF") ? Dialect::openmetrics : Dialect::text;
}

}  // namespace perjoule
