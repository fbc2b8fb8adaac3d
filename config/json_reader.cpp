#include "config/json_reader.hpp"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "config/json_syntax.hpp"
#include "config/quantity_text.hpp"
#include "config/text.hpp"

namespace perjoule::config::json {
namespace {

// Records in `reached` how far the parser has read. The parser takes one character at a time from it.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  const char** reached_;
};

// Builds the tree from the parser's events. The parser reports no positions, but at each event it has just read the
// event's token. The token starts after the previous token and the blanks and separators between them, and ends where
// the iterator stands. A number is the exception: the parser sees its end only when it has read the next character.
class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  // `text`: `original` with blanks in place of comments and trailing commas, which the parser does not accept.
  TreeBuilder(std::string_view original, std::string_view text)
      : original_(original), text_(text), locator_(original), reached_(text.data()) {}

  Document build() {
    const CountingIterator begin(text_.data(), &reached_);
    const CountingIterator end(text_.data() + text_.size(), &reached_);
    const bool whole = nlohmann::json::sax_parse(begin, end, this);
    Document document;
    document.problems = std::move(problems_);
    if (whole) document.root = std::move(root_);
    return document;
  }

  bool null() override { return add(Type::null, here()); }
  bool boolean(bool value) override {
    return add(Type::boolean, here(), [&](Value& to) { to.boolean = value; });
  }
  bool number_integer(std::int64_t value) override { return add_number(Type::integer, static_cast<double>(value)); }
  bool number_unsigned(std::uint64_t value) override { return add_number(Type::integer, static_cast<double>(value)); }
  bool number_float(double value, const std::string&) override { return add_number(Type::number, value); }
  bool string(std::string& value) override {
    return add(Type::text, here(), [&](Value& to) { to.text = std::move(value); });
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // only in binary formats such as CBOR

  bool start_object(std::size_t) override { return start(Type::object, Read::object_open); }
  bool start_array(std::size_t) override { return start(Type::array, Read::array_open); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(std::string& name) override {
    key_place_ = token(here());
    key_ = std::move(name);
    if (!open_.back().keys.insert(key_).second) {
      problems_.push_back(Problem{key_place_, path(), fmt::format("duplicate key {}", text::quoted_short(key_)),
                                  "remove one of the two"});
    }
    read_ = Read::key;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    std::optional<Place> open;
    if (!open_.empty()) open = open_.back().value->place;
    Problem problem = explain_syntax_error(text_, last_end_, read_, open);
    // In `text_` a comment has one blank per byte, but columns count characters: take the column from the original.
    problem.place.column = Locator(original_).at(problem.place.offset, problem.place.offset).column;
    stop(problem);
    return false;
  }

 private:
  struct Open {
    Value* value;  // stays valid: nothing is added to its parent while this value is open
    std::unordered_set<std::string> keys;
  };

  [[nodiscard]] std::size_t here() const { return static_cast<std::size_t>(reached_ - text_.data()); }
  [[nodiscard]] std::size_t token_start() const {
    return std::min(text_.find_first_not_of(" \t\r\n,:", last_end_), text_.size());
  }
  // The parser has accepted a number at token_start(), so following the grammar of numbers finds its end.
  [[nodiscard]] std::size_t number_end() const {
    std::size_t at = token_start();
    auto digits = [&] { at = std::min(text_.find_first_not_of("0123456789", at), text_.size()); };
    auto take = [&](std::string_view any) {
      const bool there = at < text_.size() && any.find(text_[at]) != std::string_view::npos;
      if (there) ++at;
      return there;
    };
    take("-");
    if (!take("0")) digits();
    if (take(".")) digits();
    if (take("eE")) {
      take("+-");
      digits();
    }
    return at;
  }

  Place token(std::size_t end) {
    const Place place = locator_.at(token_start(), end);
    last_end_ = end;
    return place;
  }

  template <class Fill>
  bool add(Type type, std::size_t end, Fill fill) {
    Value* value = append(type, token(end));
    if (!value) return false;
    fill(*value);
    return true;
  }
  bool add(Type type, std::size_t end) {
    return add(type, end, [](Value&) {});
  }
  bool add_number(Type type, double value) {
    return add(type, number_end(), [&](Value& to) { to.number = value; });
  }

  Value* append(Type type, Place place) {
    if (++values_ > values_max) {
      stop(Problem{place, path(), fmt::format("more than {} values in one file", values_max), ""});
      return nullptr;
    }
    Value& value = open_.empty() ? root_ : open_.back().value->items.emplace_back();
    value.type = type;
    value.place = place;
    value.key = std::exchange(key_, {});
    value.key_place = key_place_;
    read_ = after_value();
    return &value;
  }

  bool start(Type type, Read read) {
    Value* value = append(type, token(here()));
    if (!value) return false;
    if (open_.size() == depth_max) {
      stop(Problem{value->place, path(), fmt::format("nested deeper than {} levels", depth_max), ""});
      return false;
    }
    open_.push_back(Open{value, {}});
    read_ = read;
    return true;
  }

  bool end() {
    last_end_ = here();
    open_.pop_back();
    read_ = after_value();
    return true;
  }

  [[nodiscard]] Read after_value() const {
    if (open_.empty()) return Read::all;
    return open_.back().value->type == Type::object ? Read::member : Read::item;
  }

  // An error that ends the parsing is reported alone: problems found before may be consequences of it.
  void stop(const Problem& problem) { problems_.assign(1, problem); }

  // The path of the value or key that is being read: "alerts.rules[2].alert".
  [[nodiscard]] std::string path() const {
    std::string path;
    auto step = [&path](const std::string& key) { path += (path.empty() ? "" : ".") + key; };
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const Value& value = *open_[i].value;
      const bool last = i + 1 == open_.size();
      if (value.type == Type::array) {
        path += fmt::format("[{}]", last ? value.items.size() : value.items.size() - 1);
      } else if (const std::string& key = last ? key_ : open_[i + 1].value->key; !key.empty()) {
        step(key);
      }
    }
    return path;
  }

  std::string_view original_;
  std::string_view text_;
  Locator locator_;
  const char* reached_;
  std::size_t last_end_ = 0;
  Read read_ = Read::nothing;
  std::string key_;
  Place key_place_;
  Value root_;
  std::vector<Open> open_;
  std::size_t values_ = 0;
  std::vector<Problem> problems_;
};

}  // namespace

std::string_view with_article(Type type) {
  switch (type) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "a boolean";
    case Type::integer:
    case Type::number:
      return "a number";
    case Type::text:
      return "a string";
    case Type::array:
      return "an array";
    case Type::object:
      return "an object";
  }
  return "a value";
}

Document read(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Document document;
  if (auto problem = check_text(text)) {
    document.problems.push_back(std::move(*problem));
  } else {
    document = TreeBuilder(text, blank_extensions(text)).build();
  }
  document.text = text;
  return document;
}

std::string write(const Value& value) {
  switch (value.type) {
    case Type::null:
      return "null";
    case Type::boolean:
      return value.boolean ? "true" : "false";
    case Type::integer:
    case Type::number:
      return format_number(value.number);
    case Type::text:
      return text::quoted(value.text);
    case Type::array:
    case Type::object:
      break;
  }
  const bool object = value.type == Type::object;
  std::string text(object ? "{" : "[");
  for (const Value& item : value.items) {
    if (&item != &value.items.front()) text += ", ";
    if (object) text += text::quoted(item.key) + ": ";
    text += write(item);
  }
  return text + (object ? "}" : "]");
}

}  // namespace perjoule::config::json
