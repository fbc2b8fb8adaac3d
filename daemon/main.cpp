// Command line of `perjouled`: flags in the style of Prometheus exporters (`--flag=v` and `--flag v`), subcommands and
// exit codes (daemon/commands/commands.hpp).
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "config/secrets.hpp"
#include "config/text.hpp"
#include "daemon/alerts/rules/promql.hpp"
#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/app.hpp"
#include "daemon/base/descriptors.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/commands/describe.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/build.hpp"

namespace {

using namespace perjoule;

struct Arguments {
  std::string command = "run";
  std::string config_file;
  std::map<std::string, std::vector<std::string>> values;  // flag -> every value given for it
  std::string once_format = "table";
  std::string check_file;
  std::string describe_what;
  ExportRequest exported;
  std::vector<std::string> exported_labels;
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

// Every flag comes from the key table; `--no-collector.NAME` and `--no-storage` are added as negations.
void add_flags(CLI::App& app, Arguments& arguments, const std::vector<config::CollectorSection>& sections) {
  for (const config::FlagHelp& flag : config::flags(sections)) {
    std::vector<std::string>& into = arguments.values[flag.flag];
    if (flag.boolean) {
      app.add_flag("--" + flag.flag + "{true}", into, flag.help);
    } else {
      app.add_option("--" + flag.flag, into, flag.help)->allow_extra_args(false);
    }
  }
  for (const config::CollectorSection& section : sections) {
    const std::string flag = "collector." + std::string(section.name);
    std::vector<std::string>& into = arguments.values[flag];
    app.add_flag("--no-" + flag + "{false}", into, fmt::format("Disable the collector {}.", section.name));
  }
  app.add_flag("--no-storage{false}", arguments.values["storage"],
               "Write no files: there is no history, and totals restart at zero with each start.");
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

void add_commands(CLI::App& app, Arguments& arguments) {
  app.add_subcommand("run", "Run in the foreground (the default).");
  auto* once = app.add_subcommand("once", "Sample twice, one second apart, print, exit.");
  once->add_option("--format", arguments.once_format, "table, json or prometheus")
      ->check(CLI::IsMember({"table", "json", "prometheus"}));
  app.add_subcommand("doctor", "Check every source (ok, absent, denied, error, stuck) and print how to fix it.");
  auto* check = app.add_subcommand("check-config",
                                   "Validate the configuration and list every error; exit code 78 if there is one.");
  check->add_option("file", arguments.check_file, "The file, instead of --config.file.");
  app.add_subcommand("print-config", "Print the effective configuration, each value with its origin.");
  auto* describe = app.add_subcommand("describe", "Print a reference: metrics, config, schema, keys, alerts or rules.");
  describe->add_option("what", arguments.describe_what)
      ->required()
      ->check(CLI::IsMember({"metrics", "config", "schema", "keys", "alerts", "rules"}));
  app.add_subcommand("accept-inventory", "Accept the GPUs present now as the expected inventory.");
  auto* exported = app.add_subcommand("export", "Export the history to stdout (OpenMetrics or CSV).");
  exported->add_option("--format", arguments.exported.format, "openmetrics or csv")
      ->check(CLI::IsMember({"openmetrics", "csv"}));
  exported->add_option("--from", arguments.exported.from, "Start, RFC 3339 or seconds since the epoch.");
  exported->add_option("--to", arguments.exported.to, "End, inclusive.");
  exported->add_option("--metric", arguments.exported.metric, "Only this metric family; default: all.");
  exported->add_option("--label", arguments.exported_labels, "key=value; may be repeated.")->allow_extra_args(false);
  app.require_subcommand(0, 1);
}

int run_export_command(const config::Settings& settings, Arguments& arguments) {
  for (const std::string& label : arguments.exported_labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      fmt::print(stderr, "--label={}: expected key=value\n", text::printable(label));
      return exit_usage;
    }
    arguments.exported.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  return run_export(settings, arguments.exported);
}

// These two descriptions depend on the configured rules, so they load the configuration first.
bool describes_rules(const Arguments& arguments) {
  return arguments.command == "describe" && (arguments.describe_what == "alerts" || arguments.describe_what == "rules");
}

int describe_rules(const std::string& what, const config::Settings& settings) {
  const std::vector<alerts::Rule> rules = alerts::rules_in_force(settings.alerts);
  fmt::print("{}", what == "alerts" ? alerts::describe_alerts(rules) : alerts::describe_rules(rules));
  return exit_ok;
}

// The commands that need the configuration. If it has errors, each of them ends with exit code 78.
int run_configured(Arguments& arguments, const std::vector<config::CollectorSection>& sections) {
  config::Input input;
  input.collectors = sections;
  if (!arguments.check_file.empty()) arguments.config_file = arguments.check_file;
  if (!arguments.config_file.empty()) input.file = arguments.config_file;
  input.environment = perjoule_environment();
  input.flags = given_flags(arguments);
  input.examine_rules = alerts::examine_rules;
  const Supervisor service_manager = supervisor();
  const config::Outcome outcome = config::load(input);
  if (!outcome.loaded) {
    const std::string refusals = config::render(outcome.refusals) + '\n';
    fmt::print(stderr, "{}", service_manager.journal ? with_priority(config::LogLevel::error, refusals) : refusals);
    return exit_configuration;
  }
  const config::Settings& settings = outcome.loaded->settings;
  const DescriptorShares descriptors = share_descriptors();
  if (describes_rules(arguments)) return describe_rules(arguments.describe_what, settings);
  if (arguments.command == "once") return run_once(settings, arguments.once_format);
  if (arguments.command == "doctor") return run_doctor(settings);
  if (arguments.command == "accept-inventory") return run_accept_inventory(settings);
  if (arguments.command == "export") return run_export_command(settings, arguments);
  if (arguments.command == "check-config") {
    fmt::print("OK: the configuration is valid\n");
    return exit_ok;
  }
  if (arguments.command == "print-config") {
    fmt::print("{}", config::print_config(*outcome.loaded));
    return exit_ok;
  }
  return run_daemon(input, *outcome.loaded, service_manager, descriptors.connections);
}

int run(int argc, char** argv) {
  const std::vector<config::CollectorSection> sections = collector_sections();
  Arguments arguments;
  CLI::App app{"Power, thermal and efficiency telemetry of one node: history in SQLite, metrics for Prometheus."};
  app.name("perjouled");
  app.fallthrough();
  app.set_version_flag("--version", version_text());
  app.add_option("--config.file", arguments.config_file,
                 "Configuration file (JSON with comments); conf.d/*.json in the same directory is read too.");
  add_flags(app, arguments, sections);
  add_commands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream refusal;
    const int code = app.exit(error, out, refusal);
    fmt::print("{}", out.str());
    fmt::print(stderr, "{}", config::mask_urls(refusal.str()));  // a service's arguments reach its log
    return code == 0 ? exit_ok : exit_usage;
  }
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (!chosen.empty()) arguments.command = chosen.front()->get_name();
  if (arguments.command == "describe" && !describes_rules(arguments))
    return describe(arguments.describe_what, sections);
  return run_configured(arguments, sections);
}

}  // namespace

int main(int argc, char** argv) {
  // Every lane is a thread that allocates a few kilobytes; a malloc arena for each would cost more resident memory
  // than that.
  // NOLINTBEGIN(concurrency-mt-unsafe): no thread has been started yet
  mallopt(M_ARENA_MAX, 2);
  // Scrapes, query results and zlib allocate and free large buffers again and again. If malloc returned them to the
  // kernel each time, the page faults would cost more than rendering and compressing.
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  // NOLINTEND(concurrency-mt-unsafe)
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "perjouled: {}\n", error.what());
    return perjoule::exit_failure;
  }
}
