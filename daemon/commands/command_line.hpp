// The commands of `perjouled` with their own options, for --help, the parser and the manual page, and what is
// said about an unknown word. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/loader.hpp"

namespace perjoule {

struct CommandOption {
  std::string_view flag;      // without the leading dashes
  std::string_view value;     // what stands for its value; the choices with | between them; "" for a switch
  std::string_view help;      // a sentence
  std::string_view fallback;  // the default; "": none
};

struct Command {
  std::string_view name;
  std::string_view argument;  // "FILE", or the choices with | between them; "" for none
  bool argument_required = false;
  std::string_view help;  // a sentence
  std::span<const CommandOption> options;
};

[[nodiscard]] std::span<const Command> commands();

// "table|json" -> "table", "json"
[[nodiscard]] std::vector<std::string_view> choices_of(std::string_view text);

// Texts of at most 100 columns: every command and every flag with its default, grouped; one command with its options.
[[nodiscard]] std::string help_text(std::span<const config::CollectorSection> collectors);
[[nodiscard]] std::string help_text(const Command& command);

// Why `word` is refused, on one line: the unknown flag or command, and the nearest known one. `command` is the one
// given, or null. The value of a flag is not repeated.
[[nodiscard]] std::string refuse_word(std::string_view word, std::span<const config::CollectorSection> collectors,
                                      const Command* command);
// "" if `word` is one of `choices`, else the reason.
[[nodiscard]] std::string refuse_choice(std::string_view word, std::string_view choices);

}  // namespace perjoule
