#include "collectors/work/exposition_parser.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace perjoule;

namespace {

struct Seen {
  std::string family, help, unit, name;
  FamilyType type = FamilyType::untyped;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
  std::optional<double> timestamp;
  bool operator==(const Seen& other) const {
    const bool same = value == other.value || (std::isnan(value) && std::isnan(other.value));
    return same && family == other.family && help == other.help && unit == other.unit && name == other.name &&
           type == other.type && labels == other.labels && timestamp == other.timestamp;
  }
};

struct Collect final : ExpositionSink {
  std::vector<Seen> seen;
  std::string refuse;  // the name of a sample to refuse
  std::string sample(const ExpositionSample& sample) override {
    if (sample.name == refuse) return "refused by the test";
    Seen one{std::string(sample.family.name),
             std::string(sample.family.help),
             std::string(sample.family.unit),
             std::string(sample.name),
             sample.family.type,
             {},
             sample.value,
             sample.timestamp_seconds};
    for (const ExpositionLabel& label : sample.labels)
      one.labels.emplace_back(label.name, label.value);
    seen.push_back(std::move(one));
    return {};
  }
};

std::string place(std::string_view text, Dialect dialect = Dialect::text) {
  Collect sink;
  const auto error = parse_exposition(text, dialect, sink);
  return error ? fmt::format("{}:{}: {}", error->line, error->column, error->what) : "good";
}

std::vector<Seen> read(std::string_view text, Dialect dialect = Dialect::text) {
  Collect sink;
  const auto error = parse_exposition(text, dialect, sink);
  CHECK_MESSAGE(!error, (error ? error->what : ""));
  return sink.seen;
}

// A random document as values and as its written form: the reference for the parser.
struct Document {
  std::string text;
  std::vector<Seen> seen;
};

class Generator {
 public:
  Generator(unsigned seed, Dialect dialect) : random_(seed), open_(dialect == Dialect::openmetrics) {}

  Document document() {
    Document out;
    const std::size_t families = pick(6);
    for (std::size_t i = 0; i < families; ++i)
      family(i, out);
    if (open_) out.text += "# EOF\n";
    return out;
  }

 private:
  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }

  std::string words() {
    static const std::vector<std::string> pieces = {"a", "\\", "\"", "\n", "\xc3\xa9", "{", "}",
                                                    ",", "=",  " ",  "#",  "\t",       "0"};
    std::string out = "w";
    for (std::size_t n = pick(12); n > 0; --n)
      out += pieces[pick(pieces.size())];
    return out;
  }
  static std::string escaped(const std::string& text, bool quotes) {
    std::string out;
    for (char c : text) {
      if (c == '\n') {
        out += "\\n";
      } else {
        if (c == '\\' || (c == '"' && quotes)) out += '\\';
        out += c;
      }
    }
    return out;
  }
  double number() {
    switch (pick(6)) {
      case 0:
        return std::nan("");
      case 1:
        return HUGE_VAL;
      case 2:
        return -HUGE_VAL;
      case 3:
        return static_cast<double>(pick(1000));
      default:
        break;
    }
    return std::ldexp(std::uniform_real_distribution<double>(-1, 1)(random_), static_cast<int>(pick(200)) - 100);
  }
  static std::string text_of(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", value);
  }
  void family(std::size_t index, Document& out) {
    Seen base;
    base.name = fmt::format("m{}:x_seconds", index);
    base.family = base.name;
    if (pick(2) == 0) {
      base.help = words();
      out.text += fmt::format("# HELP {} {}\n", base.family, escaped(base.help, open_));
    }
    if (pick(2) == 0) {
      base.type = pick(2) == 0 ? FamilyType::gauge : FamilyType::counter;
      out.text += fmt::format("# TYPE {} {}\n", base.family, base.type == FamilyType::gauge ? "gauge" : "counter");
      if (open_ && base.type == FamilyType::counter) base.name += "_total";
    }
    if (open_ && pick(2) == 0) {
      base.unit = "seconds";
      out.text += fmt::format("# UNIT {} seconds\n", base.family);
    }
    for (std::size_t n = pick(4); n > 0; --n)
      sample(base, out);
  }
  void sample(Seen one, Document& out) {
    std::string labels;
    for (std::size_t n = pick(5); n > 0; --n) {
      one.labels.emplace_back(fmt::format("l{}", n), words());
      labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", one.labels.back().first,
                            escaped(one.labels.back().second, true));
    }
    one.value = number();
    out.text += one.name + (labels.empty() ? "" : "{" + labels + "}") + " " + text_of(one.value);
    if (pick(3) == 0) {
      one.timestamp = static_cast<double>(pick(2000000000));
      out.text += fmt::format(" {}", static_cast<std::int64_t>(*one.timestamp) * (open_ ? 1 : 1000));
    }
    if (open_ && one.name.ends_with("_total") && pick(2) == 0)
      out.text += " # {trace=\"" + escaped(words(), true) + "\"} 1.5 17.25";
    out.text += "\n";
    out.seen.push_back(std::move(one));
  }

  std::mt19937 random_;
  bool open_;
};

constexpr std::array dialects = {Dialect::text, Dialect::openmetrics};

}  // namespace

TEST_CASE("a written document is read back: families, escapes, values, timestamps") {
  for (Dialect dialect : dialects) {
    for (unsigned seed = 0; seed < 2000; ++seed) {
      const Document document = Generator(seed, dialect).document();
      CAPTURE(seed);
      CAPTURE(document.text);
      REQUIRE(read(document.text, dialect) == document.seen);
    }
  }
}

TEST_CASE("an input that is truncated anywhere within a line is refused") {
  for (Dialect dialect : dialects) {
    for (unsigned seed = 0; seed < 100; ++seed) {
      const std::string text = Generator(seed, dialect).document().text;
      for (std::size_t size = 1; size + 1 < text.size(); ++size) {
        const std::string_view prefix = std::string_view(text).substr(0, size);
        if (dialect == Dialect::text && prefix.ends_with('\n')) continue;
        CAPTURE(prefix);
        REQUIRE(place(prefix, dialect) != "good");
      }
    }
  }
}

TEST_CASE("hostile bytes: an error has a position inside the input and is one printable line") {
  std::mt19937 random(7);
  const auto pick = [&random](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  static constexpr std::string_view spice = "\n\n{}\"\\,= \t#+-.0eE_:aN\xff\xc3\r";
  std::size_t good = 0, bad = 0;
  for (unsigned seed = 0; seed < 20000; ++seed) {
    const Dialect dialect = dialects[pick(2)];
    std::string text = Generator(seed % 500, dialect).document().text;
    for (std::size_t n = 1 + pick(4); n > 0 && !text.empty(); --n) {
      const std::size_t at = pick(text.size());
      switch (pick(4)) {
        case 0:
          text[at] = static_cast<char>(pick(256));
          break;
        case 1:
          text.erase(at, 1 + pick(8));
          break;
        case 2:
          text.insert(at, 1, spice[pick(spice.size())]);
          break;
        default:
          text.insert(at, text.substr(pick(text.size()), pick(40)));
          break;
      }
    }
    Collect sink;
    const auto error = parse_exposition(text, dialect, sink);
    (error ? bad : good) += 1;
    if (!error) continue;
    CAPTURE(text);
    std::size_t line_start = 0;
    for (std::size_t line = 1; line < error->line; ++line) {
      const std::size_t end = text.find('\n', line_start);
      REQUIRE(end != std::string::npos);
      line_start = end + 1;
    }
    REQUIRE(error->column >= 1);
    REQUIRE(line_start + error->column - 1 <= text.size());
    REQUIRE(!error->what.empty());
    for (char c : error->what)
      REQUIRE((c >= ' ' && c <= '~'));
  }
  CHECK(good > 500);  // both outcomes occur
  CHECK(bad > 5000);
}

TEST_CASE("numbers: decimal, NaN and infinities, nothing else") {
  CHECK(read("a +1.5e3\n")[0].value == 1500);
  CHECK(read("b .5\n")[0].value == 0.5);
  CHECK(read("c 1.\n")[0].value == 1);
  CHECK(read("d -Inf\n")[0].value == -HUGE_VAL);
  CHECK(read("d inf\n")[0].value == HUGE_VAL);  // Rust
  CHECK(std::isnan(read("d Nan\n")[0].value));  // prometheus-cpp
  CHECK(read("a 1\t5 \n")[0].timestamp == 0.005);
  for (const char* wrong :
       {"0x10", "1e999", "1_000", "nan(0)", "-nan", "--1", "+-1", "1,5", "", "e5", ".", "1.5.2", "infinit"}) {
    CAPTURE(wrong);
    CHECK(place(fmt::format("a {}\n", wrong)) != "good");
  }
}

TEST_CASE("errors have line and column") {
  CHECK(place("a 1\nb{x=\"1\",x=\"2\"} 1\n") == "2:9: label 'x' appears twice");
  CHECK(place("a{x=\"1} 1\n") == "1:5: the label value has no closing quote");
  CHECK(place("a{x=\"\\t\"} 1\n") == "1:6: the escapes of a label value are \\\\, \\\" and \\n");
  CHECK(place("a 1 2 3\n") == "1:7: expected the end of the line, found '3'");
  CHECK(place("a 1 1.5\n") == "1:5: '1.5' is not a timestamp in whole milliseconds");
  CHECK(place("a 1\r\n") == "1:3: '1\\x0d' is not a number that a double can hold");
  CHECK(place("a 1\n\xff") == "2:1: byte '\\xff' is not valid UTF-8");
  CHECK(place("a 1") == "1:4: the last line does not end in a line feed: the input is truncated");
  CHECK(place("# TYPE a gauge\n# TYPE a gauge\n") == "2:10: a second TYPE line for this family");
  CHECK(place("# TYPE a gague\n") == "1:10: unknown type 'gague'");
  CHECK(place("a 1\n# TYPE a gauge\n") == "2:8: a line # HELP, TYPE or UNIT after samples of 'a': put it before them");
  CHECK(place("a 1\nb 1\na 2\n") == "3:1: family 'a' appears again: its lines must be contiguous");
  CHECK(place("# TYPE a histogram\na 1\n") ==
        "2:1: a family of this type has no sample without a suffix such as _total or _bucket");
  CHECK(place("1a 1\n") == "1:1: expected a metric name, found '1a'");
  CHECK(place("a{__name__=\"b\"} 1\n") == "1:3: the label __name__ is reserved for the metric's name");
}

TEST_CASE("0.0.4 is lenient with blanks and comments, OpenMetrics is not") {
  CHECK(place("  a { x = \"1\" , } 1 \n\n# a comment\n#\n") == "good");
  CHECK(place("\n# EOF\n", Dialect::openmetrics) == "1:1: OpenMetrics has no empty lines");
  CHECK(place("# a comment\n# EOF\n", Dialect::openmetrics) != "good");
  CHECK(place("a{x=\"1\",} 1\n# EOF\n", Dialect::openmetrics) != "good");
  CHECK(place("a  1\n# EOF\n", Dialect::openmetrics) != "good");
  CHECK(place("a 1\n", Dialect::openmetrics) == "2:1: the line \"# EOF\" is missing: the input is truncated");
  CHECK(place("# EOF\na 1\n", Dialect::openmetrics) == "2:1: no line may follow \"# EOF\"");
  CHECK(place("# EOF", Dialect::openmetrics) == "good");
  CHECK(place("# TYPE a counter\na 1\n# EOF\n", Dialect::openmetrics) != "good");
  CHECK(place("a 1 # {x=\"y\"} 1\n# EOF\n", Dialect::openmetrics) == "1:4: only counters and buckets have exemplars");
  CHECK(place("# UNIT a_seconds watts\n# EOF\n", Dialect::openmetrics) != "good");
  CHECK(read("a 1 1.5\n# EOF\n", Dialect::openmetrics)[0].timestamp == 1.5);
}

TEST_CASE("bounds") {
  const auto labels = [](std::size_t count) {
    std::string text = "a{";
    for (std::size_t i = 0; i < count; ++i)
      text += fmt::format("l{}=\"{}\",", i, std::string(1024, 'v'));
    return text + "} 1\n";
  };
  CHECK(read(labels(64))[0].labels[63].second == std::string(1024, 'v'));
  CHECK(place(labels(65)).ends_with("more than 64 labels"));
  CHECK(place("a{l=\"" + std::string(1025, 'v') + "\"} 1\n") == "1:6: a label value longer than 1024 bytes");
  std::string many;
  for (std::size_t i = 0; i < exposition::samples_max; ++i)
    many += "a 1\n";
  CHECK(place(many) == "good");
  CHECK(place(many + "a 1\n") == "100001:1: more than 100000 samples");
  std::string families;
  for (std::size_t i = 0; i <= exposition::families_max; ++i)
    families += fmt::format("f{} 1\n", i);
  CHECK(place(families) == "10001:1: more than 10000 families");
  CHECK(place(std::string(exposition::text_max, '\n')) == "good");
  CHECK(place(std::string(exposition::text_max + 1, '\n')) != "good");
}

TEST_CASE("the sink's refusal ends the parse at the sample") {
  Collect sink;
  sink.refuse = "b";
  const auto error = parse_exposition("a 1\n b 1\nc 1\n", Dialect::text, sink);
  REQUIRE(error);
  CHECK(error->line == 2);
  CHECK(error->column == 2);
  CHECK(error->what == "refused by the test");
  CHECK(sink.seen.size() == 1);
}

TEST_CASE("the dialect is recognised by the end of the input") {
  CHECK(dialect_of("a 1\n# EOF\n") == Dialect::openmetrics);
  CHECK(dialect_of("# EOF") == Dialect::openmetrics);
  CHECK(dialect_of("a 1\n") == Dialect::text);
  CHECK(dialect_of("a 1 # EOF\n") == Dialect::text);
  CHECK(dialect_of("") == Dialect::text);
}

// Captures of vLLM, SGLang and Triton are not part of the tree; PERJOULE_CAPTURES names the folder that holds them.
TEST_CASE("captures of inference engines parse") {
  const char* folder = std::getenv("PERJOULE_CAPTURES");
  std::size_t files = 0;
  std::error_code none;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder ? folder : PERJOULE_SOURCE_DIR "/../shared/data/workload", none)) {
    if (entry.path().extension() != ".prom") continue;
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    CAPTURE(entry.path().string());
    CHECK(read(text.str(), dialect_of(text.str())).size() > 10);
    ++files;
  }
  if (files == 0) MESSAGE("skipped: no captures here");
}
