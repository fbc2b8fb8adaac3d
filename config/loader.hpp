// From defaults, files, environment and flags to Settings, each value with its origin, every refusal at once.
//
// Precedence: defaults < --config.file < conf.d/*.json beside it, in name order < PERJOULE_* environment < flags.
// Called while starting and on the loop at a reload (reads small files). Pure apart from reading the files.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/json_reader.hpp"
#include "config/options.hpp"
#include "config/settings.hpp"

namespace perjoule::config {

// What the loader must know of a collector; the daemon makes it from the registry (config knows no sensors).
struct CollectorSection {
  std::string_view name;
  std::string_view help;
  bool enabled = true;
  Milliseconds period{1000};
  Milliseconds deadline{900};
  std::span<const Option> options;
};

// What is wrong with the list of alert rules, each with its place and its full path; the daemon brings it (config knows
// no metrics). The list's own path is "alerts.rules".
using ExamineRules = std::function<std::vector<json::Problem>(const json::Value& rules)>;

struct Input {
  std::vector<CollectorSection> collectors;
  std::optional<std::filesystem::path> file;                     // none: the built-in defaults, and no conf.d
  std::vector<std::pair<std::string, std::string>> environment;  // PERJOULE_* only
  std::vector<std::pair<std::string, std::string>>
      flags;                   // "storage.retention.raw" -> "7d"; "collector.hwmon" -> "true"/"false"
  ExamineRules examine_rules;  // none: any list of objects is taken
};

// One thing that is wrong. Rendered as
//   FILE:LINE:COL: error: PATH: what
//      14 |   "period": "1x",
//         |             ^^^^
//      help: ...
struct Refusal {
  std::string file;      // or "environment PERJOULE_X", "flag --x": then line is 0 and no line is shown
  std::size_t line = 0;  // from 1
  std::size_t column = 0;
  std::size_t length = 1;
  std::string path;  // "collectors.rapl.period"; "" for a syntax error
  std::string what;
  std::string help;         // "did you mean ...", the allowed range; may be empty
  std::string source_line;  // cut around the place to 120 columns
  std::size_t caret = 0;    // characters of source_line before the place
};
[[nodiscard]] std::string render(const Refusal& refusal);
// All of them and a last line "2 errors; configuration not loaded".
[[nodiscard]] std::string render(std::span<const Refusal> refusals);

struct Effective {
  std::string path;    // "storage.retention.raw"
  std::string value;   // as JSON text
  std::string origin;  // "default", "/etc/perjoule/perjoule.json:12", "environment PERJOULE_X", "flag --x"
  bool needs_restart = false;
};

struct Loaded {
  Settings settings;
  std::vector<Effective> effective;  // every key, in the order of `describe config`
};

struct Outcome {
  std::optional<Loaded> loaded;  // none when there is a refusal
  std::vector<Refusal> refusals;
};

[[nodiscard]] Outcome load(const Input& input);

// Keys whose value differs and which only a restart applies.
[[nodiscard]] std::vector<std::string> keys_that_need_restart(const Loaded& running, const Loaded& loaded);

// Every key a flag may set, for the command line: ("storage.retention.raw", help, takes a list).
struct FlagHelp {
  std::string flag;
  std::string help;
  bool list = false;
  bool boolean = false;
};
[[nodiscard]] std::vector<FlagHelp> flags(std::span<const CollectorSection> collectors);

[[nodiscard]] std::string print_config(const Loaded& loaded);                             // `print-config`
[[nodiscard]] std::string default_file(std::span<const CollectorSection> collectors);     // config/perjoule.json
[[nodiscard]] std::string schema(std::span<const CollectorSection> collectors);           // config/perjoule.schema.json
[[nodiscard]] std::string describe_config(std::span<const CollectorSection> collectors);  // Markdown table

}  // namespace perjoule::config
