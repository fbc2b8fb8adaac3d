#include "daemon/commands/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "collectors/registry.hpp"
#include "config/text.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "daemon/sampling/sections.hpp"

namespace perjoule {

namespace {

constexpr std::size_t columns_max = 100;
constexpr double slow_share = 0.5;  // of the deadline
constexpr unsigned slots_max = 1U << 20U;

std::size_t order_of(std::string_view source) {
  const auto entries = registry();
  return static_cast<std::size_t>(
      std::find_if(entries.begin(), entries.end(), [&](const Entry* entry) { return entry->name == source; }) -
      entries.begin());
}

double deadline_of(const config::Settings& settings, std::string_view source) {
  return static_cast<double>(collector_settings(settings, source).deadline.count()) / 1000;
}

// A call that the daemon would give up at its deadline counts as slow; its values are lost.
void judge_duration(Finding& finding, double deadline_seconds) {
  if (finding.condition != Condition::read || !finding.seconds || *finding.seconds < slow_share * deadline_seconds)
    return;
  finding.condition = Condition::slow;
  finding.problem = finding.problem || *finding.seconds > deadline_seconds;
  finding.what = fmt::format("a call takes {:.2f} s, its deadline is {:g} s", *finding.seconds, deadline_seconds);
  finding.remedy = fmt::format(
      "set collectors.{0}.period and collectors.{0}.deadline to more than {1:.0f}s, for example --collector.{0}.period="
      "{2:.0f}s --collector.{0}.deadline={2:.0f}s",
      finding.source, *finding.seconds, std::max(2.0, 2 * *finding.seconds));
}

// A board that has not said which one it is, on a host whose bus lists none, shows under the driver's index; the slots
// are in the order of these indices.
std::optional<unsigned> slot_at_index(std::string_view device, const Survey& survey) {
  constexpr std::string_view index = "index ";
  if (!device.starts_with(index)) return std::nullopt;
  device.remove_prefix(index.size());
  unsigned slot = 0;
  const auto [end, error] = std::from_chars(device.data(), device.data() + device.size(), slot);
  const bool taken = std::any_of(survey.boards.begin(), survey.boards.end(),
                                 [slot](const Inventory::Board& board) { return board.slot == slot; });
  return error != std::errc{} || taken ? std::nullopt : std::optional(slot);
}

// A call that hangs has no remedy of its own.
std::string remedy_of_stuck(const std::string& source, bool gpu) {
  if (gpu)
    return "sudo dmesg | grep -i -e xid -e nvrm shows what the driver met; only a reboot frees a call that hangs in it";
  return fmt::format("sudo dmesg | tail -50 shows what its driver met; --no-collector.{} leaves it out", source);
}

Finding finding_of(const SourceStatus& status, const Survey& survey, const config::Settings& settings) {
  Finding finding{.source = status.source,
                  .device = status.device,
                  .condition = condition_of(status.state),
                  .what = status.what,
                  .remedy = status.remedy,
                  .seconds = status.duration_seconds,
                  .items = status.without_value};
  if (!status.state) finding.what = "no call has returned";
  const bool gpu = is_gpu_source(status.source);
  for (const Inventory::Board& board : survey.boards) {
    if (!gpu || status.device.empty() || (status.device != board.uuid && status.device != board.address)) continue;
    finding.slot = board.slot;
    finding.address = board.address;
    finding.uuid = board.uuid;
  }
  if (gpu && !finding.slot) finding.slot = slot_at_index(status.device, survey);
  if (finding.condition == Condition::stuck && finding.remedy.empty())
    finding.remedy = remedy_of_stuck(status.source, gpu);
  switch (finding.condition) {
    case Condition::denied:
    case Condition::error:
    case Condition::stuck:
      finding.problem = true;
      break;
    case Condition::absent:
      // With boards on the bus a missing driver or library is a fault, and then it has a remedy.
      finding.problem = gpu && survey.gpus_expected > 0 && !finding.remedy.empty();
      break;
    case Condition::read:
      if (finding.what.empty()) break;
      finding.condition = Condition::partly;
      finding.problem = true;
      break;
    case Condition::slow:
    case Condition::partly:
    case Condition::off:
      break;
  }
  judge_duration(finding, deadline_of(settings, status.source));
  return finding;
}

// A source whose devices are GPUs, when the driver or its library fails: the boards are known from the bus or from the
// ledger, and each of them is not read for that reason.
void add_boards(std::vector<Finding>& findings, const Survey& survey) {
  const auto is_failed_source = [](const Finding& finding) {
    return is_gpu_source(finding.source) && finding.device.empty() && finding.problem;
  };
  const auto source = std::find_if(findings.begin(), findings.end(), is_failed_source);
  const bool failed = source != findings.end();
  if (survey.gpus_answering >= survey.gpus_expected) return;
  Finding cause;
  if (failed) {
    cause = *source;
  } else {
    cause = {.source = "nvml",
             .condition = Condition::absent,
             .what = "it has answered before, and is no longer there",
             .remedy =
                 "if it was removed: sudo perjouled accept-inventory; else see the kernel's log: sudo dmesg | "
                 "grep -i -e xid -e nvidia",
             .problem = true};
  }
  std::size_t added = 0;
  for (const Inventory::Board& board : survey.boards) {
    const bool listed = std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
      return finding.slot == board.slot && is_gpu_source(finding.source);
    });
    if (listed) continue;
    Finding finding = cause;
    finding.device = board.uuid.empty() ? board.address : board.uuid;
    finding.slot = board.slot;
    finding.address = board.address;
    finding.uuid = board.uuid;
    findings.push_back(std::move(finding));
    ++added;
  }
  // Their lines say what the source's own line says.
  if (failed && added > 0) findings.erase(std::find_if(findings.begin(), findings.end(), is_failed_source));
}

// Boards that are expected by number only: no one knows where they are.
void add_missing(std::vector<Finding>& findings, const Survey& survey) {
  const auto listed = static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(), [](const Finding& finding) { return finding.slot.has_value(); }));
  const bool explained = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return is_gpu_source(finding.source) && !finding.slot && finding.problem;
  });
  if (explained || listed >= survey.gpus_expected || survey.gpus_answering >= survey.gpus_expected) return;
  findings.push_back(missing_boards(survey.gpus_answering, survey.gpus_expected));
}

}  // namespace

std::string_view name(Condition condition) {
  switch (condition) {
    case Condition::read:
      return "read";
    case Condition::slow:
      return "slow";
    case Condition::partly:
      return "partly";
    case Condition::absent:
      return "absent";
    case Condition::denied:
      return "denied";
    case Condition::error:
      return "error";
    case Condition::stuck:
      return "stuck";
    case Condition::off:
      return "off";
  }
  return "unknown";
}

Condition condition_of(std::optional<SourceState> state) {
  switch (state.value_or(SourceState::stuck)) {
    case SourceState::ok:
      return Condition::read;
    case SourceState::absent:
      return Condition::absent;
    case SourceState::denied:
      return Condition::denied;
    case SourceState::error:
      return Condition::error;
    case SourceState::stuck:
      break;
  }
  return Condition::stuck;
}

void sort(std::vector<Finding>& findings) {
  const auto key = [](const Finding& of) {
    return std::tuple(!of.problem, order_of(of.source), of.slot.value_or(slots_max), std::string_view(of.device));
  };
  std::sort(findings.begin(), findings.end(), [&](const Finding& a, const Finding& b) { return key(a) < key(b); });
}

std::vector<Finding> findings(const Survey& survey, const config::Settings& settings) {
  std::vector<Finding> found;
  for (const SourceStatus& status : survey.sources)
    found.push_back(finding_of(status, survey, settings));
  add_boards(found, survey);
  add_missing(found, survey);
  for (const auto& [source, collector] : settings.collectors) {
    if (!collector.enabled)
      found.push_back({.source = source, .condition = Condition::off, .what = "disabled by the configuration"});
  }
  sort(found);
  return found;
}

Finding missing_boards(std::size_t answering, std::size_t expected) {
  return {.source = "nvml",
          .device = "missing boards",
          .condition = Condition::absent,
          .what = fmt::format("{} of {} expected GPUs answer", answering, expected),
          .remedy = "if that is all of them: sudo perjouled accept-inventory, or lower collectors.nvml.expected",
          .problem = true};
}

std::string title(const Finding& finding) {
  if (finding.slot) {
    const std::string& at = finding.address.empty() ? finding.uuid : finding.address;
    return fmt::format("GPU {}{}", *finding.slot, at.empty() ? "" : fmt::format(" ({})", at));
  }
  return finding.source + (finding.device.empty() ? "" : " " + text::printable(finding.device));
}

std::string problems(const std::vector<Finding>& findings) {
  const auto count = std::count_if(findings.begin(), findings.end(), [](const Finding& one) { return one.problem; });
  if (count == 0) return "";
  std::string line = fmt::format("{} problem{}:", count, count == 1 ? "" : "s");
  constexpr std::size_t rest_size = 16;  // ", and 255 more"
  std::int64_t said = 0;
  for (const Finding& finding : findings) {
    if (!finding.problem) continue;
    const std::string next = fmt::format("{} {} {}", said == 0 ? "" : ",", title(finding), name(finding.condition));
    if (said > 0 && line.size() + next.size() + rest_size > columns_max)
      return line + fmt::format(", and {} more", count - said);
    line += next;
    ++said;
  }
  return line;
}

}  // namespace perjoule
