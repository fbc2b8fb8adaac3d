// Builds Settings from defaults, files, environment and flags. Each value records its origin; all errors (refusals) are
// reported in one run.
//
// Precedence: defaults < --config.file < conf.d/*.json beside it, in name order < PERJOULE_* environment < flags.
// Called at the start, and on a lane at a reload. Pure apart from reading files.
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

// What the loader needs to know about a collector. The daemon fills it from the registry, because config/ must not
// depend on collectors/.
struct CollectorSection {
  std::string_view name;
  std::string_view help;
  bool enabled = true;
  Milliseconds period{1000};
  Milliseconds deadline{900};
  std::span<const Option> options;
};

// Returns the errors in the list of alert rules, each with its position and full path. The daemon passes it, because
// config/ does not know the metrics. The path of the list itself is "alerts.rules".
using ExamineRules = std::function<std::vector<json::Problem>(const json::Value& rules)>;

struct Input {
  std::vector<CollectorSection> collectors;
  std::optional<std::filesystem::path> file;                     // none: the built-in defaults, and no conf.d
  bool file_may_be_missing = false;                              // then only conf.d beside it is read, if it is there
  std::vector<std::pair<std::string, std::string>> environment;  // PERJOULE_* only
  std::vector<std::pair<std::string, std::string>>
      flags;                   // "storage.retention.raw" -> "7d"; "collector.hwmon" -> "true"/"false"
  ExamineRules examine_rules;  // none: any list of objects is accepted
};

// One error in the configuration. Rendered as
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
  std::string source_line;  // cut around the position to 120 columns; without secrets
  std::size_t caret = 0;    // characters of source_line before the position
};
[[nodiscard]] std::string render(const Refusal& refusal);
// All of them, and a last line "2 errors; configuration not loaded".
[[nodiscard]] std::string render(std::span<const Refusal> refusals);

struct Effective {
  std::string path;    // "storage.retention.raw"
  std::string value;   // as JSON, with its secrets: for comparing
  std::string origin;  // "default", "/etc/perjoule/perjoule.json:12", "environment PERJOULE_X", "flag --x"
  bool needs_restart = false;
  bool secret = false;  // print_config() masks the value
};

struct Loaded {
  Settings settings;
  std::vector<Effective> effective;          // every key, in the order of `describe keys`
  std::vector<std::filesystem::path> files;  // that were read, in their order
  std::size_t changed = 0;                   // keys that a file, the environment or a flag has set to another value
};
// "/etc/perjoule/perjoule.json, conf.d/10-site.json (4 keys changed)", "no file (0 keys changed)".
[[nodiscard]] std::string files_read(const Loaded& loaded);

struct Outcome {
  std::optional<Loaded> loaded;  // none when there is a refusal
  std::vector<Refusal> refusals;
};

[[nodiscard]] Outcome load(const Input& input);

// The keys whose value differs and takes effect only after a restart.
[[nodiscard]] std::vector<std::string> keys_that_need_restart(const Loaded& running, const Loaded& loaded);

// The flag of every key, for the command line and its --help.
struct FlagHelp {
  std::string flag;
  std::string group;        // "web", "collector nvml"
  std::string placeholder;  // of the value: "DURATION"; "" for a boolean
  std::string help;         // one sentence
  std::string fallback;     // the default, or the effect while it is unset
  bool list = false;
  bool boolean = false;  // then there is a --no-FLAG too
};
[[nodiscard]] std::vector<FlagHelp> flags(std::span<const CollectorSection> collectors);

[[nodiscard]] std::string print_config(const Loaded& loaded);                             // without secrets
[[nodiscard]] std::string default_file(std::span<const CollectorSection> collectors);     // config/perjoule.json
[[nodiscard]] std::string schema(std::span<const CollectorSection> collectors);           // config/perjoule.schema.json
[[nodiscard]] std::string describe_config(std::span<const CollectorSection> collectors);  // Markdown table

}  // namespace perjoule::config
