#include <fmt/format.h>

#include "daemon/commands/commands.hpp"
#include "daemon/commands/survey.hpp"

namespace perjoule {

int run_doctor(const config::Settings& settings) {
  const std::unique_ptr<Survey> seen = survey(settings, SurveyPlan{.calls = 1});
  std::size_t denied = 0;
  std::size_t failed = 0;
  fmt::print("{:<14} {:<44} {:<8} {}\n", "SOURCE", "DEVICE", "STATE", "WHY");
  for (const SourceStatus& status : seen->sources) {
    const SourceState state = status.state.value_or(SourceState::stuck);
    denied += state == SourceState::denied ? 1U : 0U;
    failed += state == SourceState::error || state == SourceState::stuck ? 1U : 0U;
    fmt::print("{:<14} {:<44} {:<8} {}\n", status.source, status.device, name(state), status.what);
    if (!status.remedy.empty() && state != SourceState::ok) fmt::print("{:<14} remedy: {}\n", "", status.remedy);
  }
  for (const auto& [name_of, collector] : settings.collectors) {
    if (!collector.enabled) fmt::print("{:<14} {:<44} {:<8} {}\n", name_of, "", "off", "disabled by the configuration");
  }
  if (failed == 0 && denied == 0) fmt::print("\nNo source is failing or denied.\n");
  const int code = failed > 0 ? exit_failure : (denied > 0 ? exit_permission : exit_ok);
  return leave(*seen, code);
}

}  // namespace perjoule
