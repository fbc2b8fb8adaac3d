// What a survey found, device by device, as `once` and `doctor` say it. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "daemon/commands/survey.hpp"

namespace perjoule {

// slow: it is read, but takes more than half of its deadline. partly: all but some of its items is read. off: by the
// configuration.
enum class Condition : std::uint8_t { read, slow, partly, absent, denied, error, stuck, off };
[[nodiscard]] std::string_view name(Condition condition);
[[nodiscard]] Condition condition_of(std::optional<SourceState> state);

struct Finding {
  std::string source = {};
  std::string device = {};            // as the label `device`; "" for the source itself
  std::optional<unsigned> slot = {};  // of a GPU
  std::string address = {};           // of a GPU: PCI, "" where it is not known
  std::string uuid = {};              // of a GPU, "" where it is not known
  Condition condition = Condition::read;
  std::string what = {};
  std::string remedy = {};
  std::optional<double> seconds = {};  // that the last call took
  bool problem = false;                // something that exists is not read
  std::vector<SourceItem> items = {};  // that gave no value
};

// Problems first, then in the order of the registry; GPUs by slot. A GPU that is known but not seen by its source has a
// line too, if fewer answer than are expected.
[[nodiscard]] std::vector<Finding> findings(const Survey& survey, const config::Settings& settings);
// GPUs that are expected by number only.
[[nodiscard]] Finding missing_boards(std::size_t answering, std::size_t expected);
void sort(std::vector<Finding>& findings);

// "GPU 3 (0000:5d:00.0)", "rapl package-1", "hwmon".
[[nodiscard]] std::string title(const Finding& finding);

// "2 problems: GPU 3 (0000:5d:00.0) stuck, rapl denied", at most 100 columns; "" without a problem.
[[nodiscard]] std::string problems(const std::vector<Finding>& findings);

}  // namespace perjoule
