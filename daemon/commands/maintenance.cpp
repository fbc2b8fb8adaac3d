// `maintenance` writes or removes the file that the daemon looks at each second (daemon/alerts/notify/maintenance.hpp).
#include "daemon/alerts/notify/maintenance.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "config/quantity_text.hpp"
#include "config/text.hpp"
#include "daemon/commands/commands.hpp"
#include "storage/directory.hpp"

namespace perjoule {

namespace {

int refuse(const std::string& what, const std::string& remedy, int code) {
  fmt::print(stderr, "maintenance: {}\n", text::printable(what));
  if (!remedy.empty()) fmt::print(stderr, "remedy: {}\n", text::printable(remedy));
  return code;
}

int fail(const Error& error) {
  const bool denied = error.fault == Fault::denied;
  std::string remedy = error.remedy;
  if (denied) remedy = "sudo perjouled maintenance";
  if (error.fault == Fault::absent) remedy = "pass the daemon's directory with --storage.path=DIR";
  return refuse(error.what, remedy, denied ? exit_permission : exit_failure);
}

std::int64_t now_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::string until_text(const alerts::Maintenance& maintenance) {
  const std::string reason = maintenance.reason.empty() ? "" : ": " + text::printable(maintenance.reason);
  return text::rfc3339(maintenance.until_ms, text::Decimals::none) + reason;
}

int begin(const std::filesystem::path& path, const std::string& duration, const std::string& reason) {
  const auto seconds = config::parse_duration(duration.empty() ? "2h" : duration);
  if (!seconds)
    return refuse(fmt::format("--for={}: {}", duration, seconds.error().what), seconds.error().help, exit_usage);
  const auto length_ms = static_cast<std::int64_t>(*seconds * 1000);
  if (length_ms < 1000 || length_ms > alerts::maintenance_max_ms)
    return refuse(fmt::format("--for={}: expected 1s to 30d", duration), "", exit_usage);
  if (reason.size() > alerts::reason_max)
    return refuse(fmt::format("--reason: expected at most {} bytes", alerts::reason_max), "", exit_usage);
  const alerts::Maintenance next{now_ms() + length_ms, reason};
  if (!alerts::parse_maintenance(alerts::maintenance_text(next), now_ms()))
    return refuse("--reason: expected UTF-8 without control characters", "", exit_usage);
  if (const Result<void> written = alerts::write_maintenance(path, next); !written) return fail(written.error());
  fmt::print("Alerts are evaluated and shown, and not sent, until {}\n", until_text(next));
  if (!storage::Directory::holder(path.parent_path()))
    fmt::print("No daemon is running on {}; one that starts before then keeps to it.\n",
               text::printable(path.parent_path().native()));
  return exit_ok;
}

int end(const std::filesystem::path& path) {
  const Result<bool> removed = alerts::remove_maintenance(path);
  if (!removed) return fail(removed.error());
  fmt::print("{}\n", *removed ? "The maintenance is over: alerts are sent again." : "No maintenance was on.");
  return exit_ok;
}

int show(const std::filesystem::path& path) {
  const std::int64_t now = now_ms();
  const Result<std::optional<alerts::Maintenance>> found = alerts::read_maintenance(path, now);
  if (!found && found.error().fault == Fault::broken)
    return refuse(fmt::format("{} is refused, and alerts are sent: {}", path.native(), found.error().what),
                  found.error().remedy, exit_failure);
  if (!found) return fail(found.error());
  if (*found && (*found)->until_ms > now) {
    fmt::print("A maintenance is on: alerts are not sent until {}\n", until_text(**found));
  } else {
    fmt::print("No maintenance is on: alerts are sent.\n");
  }
  return exit_ok;
}

}  // namespace

int run_maintenance(const config::Settings& settings, const MaintenanceRequest& request) {
  if (!settings.storage.enabled) return refuse("requires storage, where the daemon looks for it", "", exit_usage);
  const bool extra = !request.duration.empty() || !request.reason.empty();
  if (extra && request.action != "on") return refuse("--for and --reason need `maintenance on`", "", exit_usage);
  const std::filesystem::path path = settings.storage.path / alerts::maintenance_file;
  if (request.action == "on") return begin(path, request.duration, request.reason);
  return request.action == "off" ? end(path) : show(path);
}

}  // namespace perjoule
