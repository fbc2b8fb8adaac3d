// `accept-inventory` leaves a request file in the storage directory and signals the daemon. The daemon does the work,
// because only it may write the ledger and only it knows which GPUs answer: at once if it runs, else at its next start.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "config/text.hpp"
#include "daemon/commands/commands.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "storage/directory.hpp"

namespace perjoule {

int run_accept_inventory(const config::Settings& settings) {
  if (!settings.storage.enabled) {
    fmt::print(stderr, "accept-inventory: requires storage, where the daemon keeps the expected inventory\n");
    return exit_usage;
  }
  const std::filesystem::path request = settings.storage.path / accept_request;
  const int file = ::open(request.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (file < 0) {
    const int number = errno;
    fmt::print(stderr, "accept-inventory: {}: {}\n", text::printable(request.native()),
               std::generic_category().message(number));
    if (number == ENOENT) fmt::print(stderr, "remedy: pass the daemon's directory with --storage.path=DIR\n");
    const bool denied = number == EACCES || number == EPERM;
    if (denied) fmt::print(stderr, "remedy: sudo perjouled accept-inventory\n");
    return denied ? exit_permission : exit_failure;
  }
  ::close(file);
  const std::optional<int> daemon = storage::Directory::holder(settings.storage.path);
  if (!daemon) {
    fmt::print("No daemon is running on {}: the next start accepts the GPUs present then.\n",
               text::printable(settings.storage.path.native()));
    return exit_ok;
  }
  if (*daemon <= 0 || ::kill(*daemon, SIGHUP) != 0) {
    fmt::print(stderr,
               "The request is written, but the daemon could not be signalled.\n"
               "remedy: sudo systemctl reload perjouled\n");
    return exit_permission;
  }
  fmt::print("The daemon (pid {}) accepts the GPUs present now; see its log for the number.\n", *daemon);
  return exit_ok;
}

}  // namespace perjoule
