// `doctor`: what of this host is read, for the user of the service, and what to do about the rest.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "config/json_writer.hpp"
#include "config/text.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/findings.hpp"
#include "daemon/commands/running_daemon.hpp"
#include "daemon/commands/service_user.hpp"
#include "daemon/commands/survey.hpp"
#include "daemon/sampling/gpu_roster.hpp"

namespace perjoule {

namespace {

// Longer than the daemon waits for a call, to distinguish a slow device from one that hangs.
constexpr std::chrono::milliseconds call_limit{5000};
constexpr std::chrono::milliseconds survey_limit{6500};

struct Judge {
  std::string text;  // whose rights were used, on one line
  std::optional<ServiceUser> service;
  bool is_service = false;  // this process has become it
};

// Root becomes the service's user; another user cannot.
Judge judge(const std::filesystem::path& rootfs) {
  Judge as{own_user(), service_user(rootfs), false};
  if (!as.service) return as;
  if (::geteuid() != 0) {
    as.text += fmt::format("; `sudo perjouled doctor` judges for {}", as.service->text());
    return as;
  }
  const Result<void> became = become(*as.service);
  as.is_service = became.has_value();
  as.text =
      became ? as.service->text() : fmt::format("{}, not for {}: {}", as.text, as.service->text(), became.error().what);
  return as;
}

std::string asked(const RunningDaemon& daemon) {
  return daemon.answers ? fmt::format("the daemon at {} was asked for its states", daemon.url)
                        : fmt::format("no daemon answers at {} ({})", daemon.url, daemon.why);
}

bool is_problem(SourceState state) {
  return state == SourceState::denied || state == SourceState::error || state == SourceState::stuck;
}

// The daemon is the service, so its state counts; what this process saw beside it explains a difference.
void take(Finding& finding, SourceState state, const Judge& as) {
  const Condition said = condition_of(state);
  const bool same =
      said == finding.condition ||
      (said == Condition::read && (finding.condition == Condition::slow || finding.condition == Condition::partly));
  if (same) return;
  finding.what = fmt::format("the running daemon: {}; as {} now: {}{}{}", name(said),
                             as.is_service ? "user " + as.service->name : own_user(), name(finding.condition),
                             finding.what.empty() ? "" : ", ", finding.what);
  finding.condition = said;
  finding.problem = is_problem(state);
  if (!finding.problem) {
    finding.remedy.clear();
  } else if (finding.remedy.empty()) {
    finding.remedy = fmt::format("journalctl -u {0} -p warning shows why; sudo systemctl restart {0}",
                                 service_unit.substr(0, service_unit.find('.')));
  }
}

void take(std::vector<Finding>& findings, const RunningDaemon& daemon, const Judge& as) {
  for (const auto& [key, state] : daemon.states) {
    const auto is_same = [&of = key](const Finding& one) {
      return one.source == of.first && (one.device == of.second || (!of.second.empty() && one.address == of.second));
    };
    const auto found = std::find_if(findings.begin(), findings.end(), is_same);
    if (found != findings.end()) {
      take(*found, state, as);
      continue;
    }
    Finding only{
        .source = key.first, .device = key.second, .condition = condition_of(state), .what = "in the running daemon"};
    only.problem = is_problem(state);
    findings.push_back(std::move(only));
  }
  // A source with devices of its own in the daemon has no state of its own there.
  std::erase_if(findings, [&](const Finding& one) {
    if (!one.device.empty() || one.condition == Condition::off || daemon.states.contains({one.source, ""}))
      return false;
    return std::any_of(daemon.states.begin(), daemon.states.end(),
                       [&](const auto& item) { return item.first.first == one.source; });
  });
  // A caller without the right to read the ledger does not know how many are expected.
  const bool known = std::any_of(findings.begin(), findings.end(),
                                 [](const Finding& one) { return one.problem && is_gpu_source(one.source); });
  if (daemon.gpus_answering < daemon.gpus_expected && !known)
    findings.push_back(missing_boards(daemon.gpus_answering, daemon.gpus_expected));
  sort(findings);
}

std::string verdict(const std::vector<Finding>& findings) {
  if (std::string found = problems(findings); !found.empty()) return found;
  const auto read = std::count_if(findings.begin(), findings.end(), [](const Finding& one) {
    return one.condition == Condition::read || one.condition == Condition::slow;
  });
  const auto gpus =
      std::count_if(findings.begin(), findings.end(), [](const Finding& one) { return one.slot.has_value(); });
  return fmt::format("OK: everything that this host has is read: {} device{}, {} of them GPU{}", read,
                     read == 1 ? "" : "s", gpus, gpus == 1 ? "" : "s");
}

std::string as_text(const std::vector<Finding>& findings, const Judge& as, const RunningDaemon& daemon) {
  std::string out = verdict(findings) + '\n';
  out += text::printable(fmt::format("Judged for {}; {}.", as.text, asked(daemon))) + "\n\n";
  out += fmt::format("{:<8} {:<13} {:<30} {}\n", "STATE", "SOURCE", "DEVICE", "WHY");
  for (const Finding& finding : findings) {
    const std::string device = finding.slot ? title(finding) : text::printable(finding.device);
    std::string line = fmt::format("{:<8} {:<13} {:<30} {}", name(finding.condition), finding.source, device,
                                   text::printable(finding.what));
    out += line.erase(line.find_last_not_of(' ') + 1) + '\n';
    if (!finding.remedy.empty() && finding.condition != Condition::read)
      out += fmt::format("{:<8} remedy: {}\n", "", text::printable(finding.remedy));
    // The line itself has the first item that failed.
    for (const SourceItem& item : finding.items) {
      const std::string said = fmt::format("{}: {}", item.name, item.what);
      if (said != finding.what)
        out += fmt::format("{:<8} {}: {}: {}\n", "", name(item.state), text::printable(item.name),
                           text::printable(item.what));
    }
  }
  return out;
}

std::string as_json(const std::vector<Finding>& findings, const Judge& as, const RunningDaemon& daemon) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("verdict", verdict(findings)).key("ok");
  json.boolean(std::none_of(findings.begin(), findings.end(), [](const Finding& one) { return one.problem; }));
  json.member("judged_for", as.text);
  json.key("daemon").begin_object().member("url", daemon.url).key("answers").boolean(daemon.answers);
  json.member("why", daemon.why).end_object().key("devices").begin_array();
  for (const Finding& finding : findings) {
    json.begin_object().member("source", finding.source).member("device", finding.device);
    if (finding.slot) {
      json.member("gpu", std::to_string(*finding.slot)).member("uuid", finding.uuid);
      json.member("pci_bus_id", finding.address);
    }
    json.member("state", name(finding.condition)).key("problem").boolean(finding.problem);
    json.member("what", finding.what).member("remedy", finding.remedy);
    if (finding.seconds) json.key("seconds").number(*finding.seconds);
    json.key("items").begin_array();
    for (const SourceItem& item : finding.items) {
      json.begin_object().member("item", item.name).member("state", name(item.state)).member("what", item.what);
      json.end_object();
    }
    json.end_array();
    json.end_object();
  }
  json.end_array().end_object();
  return out + '\n';
}

}  // namespace

int run_doctor(const config::Settings& settings, std::string_view format) {
  const RunningDaemon daemon = ask_daemon(settings);
  const Judge as = judge(settings.roots.rootfs);
  config::Settings seen_as = settings;
  if (as.is_service) seen_as.roots.unit = service_unit;
  const std::unique_ptr<Survey> seen =
      survey(seen_as, {.calls = 1, .limit = survey_limit, .call_limit = call_limit, .use_deadlines = false});
  std::vector<Finding> found = findings(*seen, settings);
  if (daemon.answers) take(found, daemon, as);
  fmt::print("{}", format == "json" ? as_json(found, as, daemon) : as_text(found, as, daemon));
  const bool problem = std::any_of(found.begin(), found.end(), [](const Finding& one) { return one.problem; });
  return leave(*seen, problem ? exit_failure : exit_ok);
}

}  // namespace perjoule
