// Command line of `perjouled`: flags in the style of Prometheus exporters (`--flag=v` and `--flag v`), subcommands and
// exit codes (daemon/commands/commands.hpp).
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "config/secrets.hpp"
#include "config/text.hpp"
#include "daemon/alerts/rules/promql.hpp"
#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/alerts/rules/unproduced.hpp"
#include "daemon/app.hpp"
#include "daemon/base/descriptors.hpp"
#include "daemon/base/line_writer.hpp"
#include "daemon/commands/command_line.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/describe.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/build.hpp"

namespace {

using namespace perjoule;

constexpr std::string_view installed_file = "/etc/perjoule/perjoule.json";
// CLI11 takes the argument after `--flag=` for the flag's value. An argument cannot contain a NUL, so this one stands
// for the empty value until CLI11 is done.
constexpr std::string_view empty_value("\0", 1);

struct Arguments {
  const Command* command = nullptr;  // null: none was given, which means run
  std::string config_file;
  bool config_file_given = false;
  std::map<std::string, std::vector<std::string>> values;          // flag -> every value given for it
  std::map<std::string, std::vector<std::string>> command_values;  // the same for the command's own flags
  std::string argument;                                            // of the command; "" if none was given

  [[nodiscard]] std::string_view name() const { return command == nullptr ? "run" : command->name; }
  // The value of an option of the command.
  [[nodiscard]] std::string option(std::string_view flag) const {
    const auto found = command_values.find(fmt::format("{} {}", name(), flag));
    return found == command_values.end() || found->second.empty() ? "" : found->second.back();
  }
};

std::vector<std::pair<std::string, std::string>> perjoule_environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (text.starts_with("PERJOULE_") && equals != std::string_view::npos) {
      found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return found;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no thread has been started yet
  return value == nullptr ? "" : value;
}

Supervisor supervisor() {
  struct stat stderr_status {};
  const bool journal = fstat(STDERR_FILENO, &stderr_status) == 0 &&
                       is_journal(environment("JOURNAL_STREAM"), stderr_status.st_dev, stderr_status.st_ino);
  return {environment("NOTIFY_SOCKET"),
          watchdog_interval(environment("WATCHDOG_USEC"), environment("WATCHDOG_PID"), getpid()), journal};
}

// Every flag comes from the key table; each boolean has a negation.
void add_flags(CLI::App& app, Arguments& arguments, const std::vector<config::CollectorSection>& sections) {
  app.add_option("--config.file", arguments.config_file);
  for (const config::FlagHelp& flag : config::flags(sections)) {
    std::vector<std::string>& into = arguments.values[flag.flag];
    if (flag.boolean) {
      app.add_flag("--" + flag.flag + "{true}", into);
      app.add_flag("--no-" + flag.flag + "{false}", into);
    } else {
      app.add_option("--" + flag.flag, into)->allow_extra_args(false);
    }
  }
}

CLI::Validator one_of(std::string_view choices) {
  const auto check = [choices](const std::string& word) {
    return refuse_choice(word == empty_value ? std::string_view() : word, choices);
  };
  return {check, ""};
}

void add_commands(CLI::App& app, Arguments& arguments) {
  for (const Command& command : commands()) {
    CLI::App* own = app.add_subcommand(std::string(command.name));
    for (const CommandOption& option : command.options) {
      std::vector<std::string>& into = arguments.command_values[fmt::format("{} {}", command.name, option.flag)];
      const std::string flag = fmt::format("--{}", option.flag);
      if (option.value.empty()) {
        own->add_flag(flag + "{true}", into);
        continue;
      }
      CLI::Option* added = own->add_option(flag, into)->allow_extra_args(false);
      if (option.value.find('|') != std::string_view::npos) added->check(one_of(option.value));
    }
    if (command.argument.empty()) continue;
    CLI::Option* argument = own->add_option("argument", arguments.argument)->required(command.argument_required);
    if (command.argument.find('|') != std::string_view::npos) argument->check(one_of(command.argument));
  }
  app.require_subcommand(0, 1);
}

std::vector<std::pair<std::string, std::string>> given_flags(const Arguments& arguments) {
  std::vector<std::pair<std::string, std::string>> flags;
  for (const auto& [flag, values] : arguments.values) {
    for (const std::string& value : values)
      flags.emplace_back(flag, value);
  }
  return flags;
}

// A thread that hangs in a driver keeps the process alive, as a zombie with all its open files, until its call returns.
// The files are closed here, so that the next daemon finds the storage directory unlocked and the ports free. While a
// commit hangs they stay open: the lock then guards the databases against a second writer.
[[noreturn]] void leave_threads_behind(bool stored, int code) {
  if (stored) ::close_range(STDERR_FILENO + 1, ~0U, 0);
  _exit(code);
}

int run_daemon(const config::Input& input, const config::Loaded& loaded, const Supervisor& supervisor,
               std::size_t connections_max) {
  std::signal(SIGPIPE, SIG_IGN);
  write_lines_before_a_crash();
  // No file for other users, and none for the group to write, whatever the caller's mask.
  ::umask(::umask(0) | 0027U);
  int code = exit_failure;
  bool clean = true;
  {
    App app(input, loaded, build_info(), supervisor, connections_max);
    code = app.run();
    clean = app.clean();
    if (!clean) leave_threads_behind(app.stored(), code);
  }
  return code;
}

int describe(const std::string& what, const std::vector<config::CollectorSection>& sections) {
  if (what == "metrics") {
    fmt::print("{}", describe_metrics());
  } else if (what == "config") {
    fmt::print("{}", config::default_file(sections));
  } else if (what == "keys") {
    fmt::print("{}", config::describe_config(sections));
  } else {
    fmt::print("{}", config::schema(sections));
  }
  return exit_ok;
}

int run_export_command(const config::Settings& settings, const Arguments& arguments) {
  ExportRequest request;
  request.format = arguments.option("format") == "csv" ? "csv" : "openmetrics";
  request.from = arguments.option("from");
  request.to = arguments.option("to");
  request.metric = arguments.option("metric");
  for (const std::string& label : arguments.command_values.at("export label")) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      fmt::print(stderr, "--label={}: expected key=value\n", text::printable(label));
      return exit_usage;
    }
    request.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  return run_export(settings, request);
}

int run_once_command(const config::Settings& settings, const Arguments& arguments) {
  OnceRequest request{"table", !arguments.option("watch").empty(), arguments.option("replay")};
  if (const std::string format = arguments.option("format"); !format.empty()) request.format = format;
  if (request.replay.empty() && arguments.command_values.contains("once replay") &&
      !arguments.command_values.at("once replay").empty()) {
    fmt::print(stderr, "--replay: the directory's name is empty\n");
    return exit_usage;
  }
  for (const char* flag : {"path.procfs", "path.sysfs", "path.cgroupfs", "path.rootfs"}) {
    const auto given = arguments.values.find(flag);
    if (request.replay.empty() || given == arguments.values.end() || given->second.empty()) continue;
    fmt::print(stderr, "--{}: not together with --replay, which sets it\n", flag);
    return exit_usage;
  }
  return run_once(settings, request);
}

// These two descriptions depend on the configured rules, so they load the configuration first.
bool describes_rules(const Arguments& arguments) {
  return arguments.argument == "alerts" || arguments.argument == "rules";
}

int describe_rules(const std::string& what, const config::Settings& settings) {
  const std::vector<alerts::Rule> rules = alerts::rules_in_force(settings.alerts);
  fmt::print("{}", what == "alerts" ? alerts::describe_alerts(rules) : alerts::describe_rules(rules));
  return exit_ok;
}

// The installed file is read by every command that names no other one. It may be closed to this user, because it may
// hold secrets: `once` and `doctor`, which look at the host, then go on without it.
config::Input input_of(const Arguments& arguments, const std::vector<config::CollectorSection>& sections) {
  config::Input input;
  input.collectors = sections;
  input.environment = perjoule_environment();
  input.flags = given_flags(arguments);
  input.examine_rules = alerts::examine_rules;
  if (arguments.name() == "check-config" && !arguments.argument.empty()) {
    input.file = arguments.argument;
  } else if (arguments.config_file_given) {
    if (!arguments.config_file.empty()) input.file = arguments.config_file;
  } else {
    input.file = installed_file;
    input.file_may_be_missing = true;
  }
  return input;
}

bool is_closed(const config::Input& input) {
  return input.file_may_be_missing && ::access(input.file->c_str(), R_OK) != 0 && errno == EACCES;
}

// Runs a command on a valid configuration.
int run_command(const Arguments& arguments, const config::Input& input, const config::Loaded& loaded,
                const Supervisor& service_manager) {
  const config::Settings& settings = loaded.settings;
  const DescriptorShares descriptors = share_descriptors();
  const std::string_view name = arguments.name();
  if (name == "describe") return describe_rules(arguments.argument, settings);
  if (name == "once") return run_once_command(settings, arguments);
  if (name == "doctor") return run_doctor(settings, arguments.option("format"));
  if (name == "accept-inventory") return run_accept_inventory(settings);
  if (name == "export") return run_export_command(settings, arguments);
  if (name == "maintenance")
    return run_maintenance(settings, {arguments.argument, arguments.option("for"), arguments.option("reason")});
  if (name == "check-config") {
    for (const std::string& line : alerts::unproduced_rules(settings))
      fmt::print(stderr, "warning: {}\n", text::printable(line));
    fmt::print("OK: {}\n", config::files_read(loaded));
    return exit_ok;
  }
  if (name == "print-config") {
    fmt::print("{}", config::print_config(loaded));
    return exit_ok;
  }
  return run_daemon(input, loaded, service_manager, descriptors.connections);
}

// The commands that need the configuration. If it has errors, each of them ends with exit code 78.
int run_configured(const Arguments& arguments, const std::vector<config::CollectorSection>& sections) {
  config::Input input = input_of(arguments, sections);
  const Supervisor service_manager = supervisor();
  const bool closed = is_closed(input);
  const bool looks_only = arguments.name() == "once" || arguments.name() == "doctor";
  if (closed && looks_only) input.file.reset();
  const config::Outcome outcome = config::load(input);
  if (!outcome.loaded) {
    const std::string refusals = config::render(outcome.refusals) + '\n';
    fmt::print(stderr, "{}", service_manager.journal ? with_priority(config::LogLevel::error, refusals) : refusals);
    if (closed) fmt::print(stderr, "remedy: run it with sudo, or with --config.file= for the built-in defaults\n");
    return closed ? exit_permission : exit_configuration;
  }
  // The daemon logs it, and check-config answers it.
  if (closed) {
    fmt::print(stderr, "configuration: {} is not readable for this user: built-in defaults\n", installed_file);
  } else if (arguments.name() != "run" && arguments.name() != "check-config") {
    fmt::print(stderr, "configuration: {}\n", config::files_read(*outcome.loaded));
  }
  std::fflush(stderr);
  return run_command(arguments, input, *outcome.loaded, service_manager);
}

// Why the command line is refused.
std::string refusal_of(const CLI::App& app, const CLI::ParseError& error,
                       const std::vector<config::CollectorSection>& sections, const Command* command) {
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError)) return error.what();
  const std::vector<std::string> unknown = app.remaining(true);
  return unknown.empty() ? error.what() : refuse_word(unknown.front(), sections, command);
}

const Command* chosen(const CLI::App& app) {
  const std::vector<CLI::App*> given = app.get_subcommands();
  if (given.empty()) return nullptr;
  const auto found = std::find_if(commands().begin(), commands().end(),
                                  [&](const Command& command) { return command.name == given.front()->get_name(); });
  return &*found;
}

void restore_empty_values(Arguments& arguments) {
  const auto restore = [](std::string& value) {
    if (value == empty_value) value.clear();
  };
  restore(arguments.config_file);
  for (auto* values : {&arguments.values, &arguments.command_values}) {
    for (auto& [flag, given] : *values)
      std::for_each(given.begin(), given.end(), restore);
  }
}

// CLI11 takes them from the end.
std::vector<std::string> reversed_words(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : words) {
    if (word.starts_with("--") && word.find('=') == word.size() - 1) word += empty_value;
  }
  std::reverse(words.begin(), words.end());
  return words;
}

int run(int argc, char** argv) {
  const std::vector<config::CollectorSection> sections = collector_sections();
  Arguments arguments;
  CLI::App app;
  app.name("perjouled");
  app.fallthrough();
  app.set_version_flag("--version", version_text());
  add_flags(app, arguments, sections);
  add_commands(app, arguments);
  try {
    app.parse(reversed_words(argc, argv));
  } catch (const CLI::CallForHelp&) {
    const Command* command = chosen(app);
    fmt::print("{}", command == nullptr ? help_text(sections) : help_text(*command));
    return exit_ok;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return exit_ok;
  } catch (const CLI::ParseError& error) {
    // Masked: a service's arguments reach its log.
    fmt::print(stderr, "perjouled: {}\n`perjouled --help` lists commands and flags.\n",
               config::mask_urls(refusal_of(app, error, sections, chosen(app))));
    return exit_usage;
  }
  arguments.command = chosen(app);
  arguments.config_file_given = app.count("--config.file") > 0;
  restore_empty_values(arguments);
  if (arguments.name() == "describe" && !describes_rules(arguments)) return describe(arguments.argument, sections);
  return run_configured(arguments, sections);
}

}  // namespace

int main(int argc, char** argv) {
  // Every lane is a thread that allocates a few kilobytes; a malloc arena for each would cost more resident memory
  // than that.
  // NOLINTBEGIN(concurrency-mt-unsafe): no thread has been started yet
  mallopt(M_ARENA_MAX, 2);
  // Scrapes and query results allocate and free the same buffers again and again: the top of the heap is kept. A
  // large buffer goes back to the kernel when it is freed, because small ones that outlive it would otherwise leave
  // holes that no later one fits into, and the heap would grow for as long as series come and go.
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
  mallopt(M_MMAP_THRESHOLD, 512 << 10);
  // NOLINTEND(concurrency-mt-unsafe)
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    // A pipe that is full must not keep the process from ending.
    pollfd room{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&room, 1, 250) > 0) fmt::print(stderr, "perjouled: {}\n", error.what());
    return perjoule::exit_failure;
  }
}
