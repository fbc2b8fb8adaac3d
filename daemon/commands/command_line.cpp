#include "daemon/commands/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule {

namespace {

constexpr std::size_t width = 100;
constexpr std::size_t flag_width = 36;  // of the column of flags; a longer one has its help on the next line

constexpr std::array once_options = {
    CommandOption{"format", "table|json|prometheus", "Form of the answer.", "table"},
    CommandOption{"watch", "", "Sample and print again each second, until interrupted.", ""},
    CommandOption{"replay", "DIR",
                  "A recorded host in place of this one: DIR holds its sys and proc, or folders 0, 1, 2, .. with them, "
                  "one for each second; GPUs are those of DIR/scenario.json, with --path.nvml of a build tree.",
                  "this host"}};
constexpr std::array doctor_options = {CommandOption{"format", "text|json", "Form of the answer.", "text"}};
constexpr std::array export_options = {
    CommandOption{"format", "openmetrics|csv", "Form of the samples.", "openmetrics"},
    CommandOption{"from", "TIME", "Start, in RFC 3339 or seconds since the epoch.", "the oldest sample"},
    CommandOption{"to", "TIME", "End, inclusive.", "the newest sample"},
    CommandOption{"metric", "NAME", "Only this metric family.", "all"},
    CommandOption{"label", "KEY=VALUE", "Only series with this label; may be repeated.", "all"}};

constexpr std::array maintenance_options = {
    CommandOption{"for", "DURATION", "With `on`: when it ends by itself, at most 30d from now.", "2h"},
    CommandOption{"reason", "TEXT", "With `on`: shown in the log and on the page.", "no text"}};

constexpr std::array all_commands = {
    Command{"run", "", false, "Run in the foreground (the default; systemd does this).", {}},
    Command{"once", "", false, "Sample twice, one second apart; print a verdict and a table; exit.", once_options},
    Command{"doctor", "", false,
            "Check every device, for the service's user: read, slow, partly, absent, denied, error or stuck, and the "
            "command that fixes it; exit code 1 if something that exists is not read.",
            doctor_options},
    Command{"check-config",
            "FILE",
            false,
            "Check the configuration, or FILE in its place, and list every error; exit code 78 if there is one.",
            {}},
    Command{"print-config", "", false, "Print the effective configuration, each value with its origin.", {}},
    Command{"describe", "metrics|config|schema|keys|alerts|rules", true, "Print a reference.", {}},
    Command{"export", "", false, "Export the history to stdout.", export_options},
    Command{"accept-inventory", "", false, "Accept the GPUs present now as the expected inventory.", {}},
    Command{"maintenance", "on|off", false,
            "Evaluate and show alerts without sending them, or send them again; without WHAT: whether one is on.",
            maintenance_options}};

// `text` in lines that end before `width`, each after the first behind `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string lines;
  const std::size_t room = width - indent;
  while (text.size() > room) {
    std::size_t end = text.rfind(' ', room);
    if (end == std::string_view::npos || end == 0) end = std::min(text.find(' '), text.size());
    lines += fmt::format("{}\n{}", text.substr(0, end), std::string(indent, ' '));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines + std::string(text);
}

// A list, with a blank behind each comma, so that it can be wrapped.
std::string with_blanks(std::string_view list) {
  std::string text;
  for (const char c : list) {
    if (!text.empty() && text.back() == ',' && c != ' ') text += ' ';
    text += c;
  }
  return text;
}

std::string entry(std::string_view name, std::string_view help, std::string_view fallback) {
  std::string text(help);
  if (!fallback.empty()) text += fmt::format(" Default: {}.", with_blanks(fallback));
  const std::string lead = name.size() < flag_width - 3 ? fmt::format("  {:<{}}", name, flag_width - 2)
                                                        : fmt::format("  {}\n{}", name, std::string(flag_width, ' '));
  return lead + wrapped(text, flag_width) + '\n';
}

std::string flag_entry(std::string_view flag, std::string_view value, std::string_view help,
                       std::string_view fallback) {
  return entry(fmt::format("--{}{}{}", flag, value.empty() ? "" : "=", value), help, fallback);
}

std::string call(const Command& command) {
  if (command.argument.empty()) return std::string(command.name);
  const std::string_view argument = command.argument.find('|') == std::string_view::npos ? command.argument : "WHAT";
  return command.argument_required ? fmt::format("{} {}", command.name, argument)
                                   : fmt::format("{} [{}]", command.name, argument);
}

std::string about(const Command& command) {
  if (command.argument.find('|') == std::string_view::npos) return std::string(command.help);
  return fmt::format("{} WHAT is {}.", command.help, fmt::join(choices_of(command.argument), ", "));
}

std::string heading(std::string_view group) {
  if (group == "path") return "Paths";
  std::string text(group);
  if (!text.empty()) text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text;
}

std::vector<std::string> known_flags(std::span<const config::CollectorSection> collectors, const Command* command) {
  std::vector<std::string> known = {"config.file", "help", "version"};
  for (const config::FlagHelp& flag : config::flags(collectors)) {
    known.push_back(flag.flag);
    if (flag.boolean) known.push_back("no-" + flag.flag);
  }
  if (command == nullptr) return known;
  for (const CommandOption& option : command->options)
    known.emplace_back(option.flag);
  return known;
}

}  // namespace

std::span<const Command> commands() {
  return all_commands;
}

std::vector<std::string_view> choices_of(std::string_view text) {
  std::vector<std::string_view> choices;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('|'), text.size());
    choices.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return choices;
}

std::string help_text(std::span<const config::CollectorSection> collectors) {
  std::string text =
      "Usage: perjouled [COMMAND] [OPTION...]\n\n"
      "Power, thermal and efficiency telemetry of one node: history in SQLite, metrics for Prometheus.\n\nCommands:\n";
  for (const Command& command : commands())
    text += entry(call(command), about(command), "");
  text +=
      "\nOptions of a command: perjouled COMMAND --help. Every command takes those below, as --flag=VALUE or\n"
      "--flag VALUE; `perjouled describe keys` and perjoule.json(5) have their ranges.\n\nGeneral:\n";
  text += flag_entry("config.file", "FILE",
                     "Configuration file (JSON with comments), and conf.d/*.json in its directory; empty: no file.",
                     "/etc/perjoule/perjoule.json, if it exists");
  text += entry("-h, --help", "This text.", "") + entry("--version", "Version, branch and revision.", "");
  std::string group;
  for (const config::FlagHelp& flag : config::flags(collectors)) {
    if (flag.group != group) text += fmt::format("\n{}:\n", heading(flag.group));
    group = flag.group;
    const std::string name = (flag.boolean ? "[no-]" : "") + flag.flag;
    text += flag_entry(name, flag.placeholder, flag.help, flag.fallback);
  }
  return text;
}

std::string help_text(const Command& command) {
  std::string text = fmt::format("Usage: perjouled {} [OPTION...]\n\n{}\n", call(command), wrapped(about(command), 0));
  if (!command.options.empty()) text += "\nOptions:\n";
  for (const CommandOption& option : command.options)
    text += flag_entry(option.flag, option.value, option.help, option.fallback);
  return text + "\nThe options of every command: perjouled --help.\n";
}

std::string refuse_word(std::string_view word, std::span<const config::CollectorSection> collectors,
                        const Command* command) {
  std::vector<std::string> known;
  std::string said;
  std::string_view dashes;
  if (word.starts_with('-')) {
    dashes = "--";
    word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
    word = word.substr(0, word.find('='));
    known = known_flags(collectors, command);
    said = fmt::format("unknown flag --{}", text::printable(word));
  } else if (command != nullptr) {
    return fmt::format("unexpected argument {} of {}", text::quoted_short(word), command->name);
  } else {
    for (const Command& one : commands())
      known.emplace_back(one.name);
    said = fmt::format("unknown command {}", text::quoted_short(word));
  }
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string_view near = config::nearest(word, views);
  return near.empty() ? said : fmt::format("{}; did you mean {}{}?", said, dashes, near);
}

std::string refuse_choice(std::string_view word, std::string_view choices) {
  const std::vector<std::string_view> known = choices_of(choices);
  if (std::find(known.begin(), known.end(), word) != known.end()) return "";
  const std::string near = config::did_you_mean(word, known);
  return fmt::format("{} is not one of {}{}{}", text::quoted_short(word), fmt::join(known, ", "),
                     near.empty() ? "" : "; ", near);
}

}  // namespace perjoule
