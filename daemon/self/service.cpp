#include "daemon/self/service.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "config/text.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "daemon/sampling/gpu_roster.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t nanoseconds_per_microsecond = 1000;

std::int64_t whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

// The clock that systemd compares the timestamp of RELOADING with.
std::int64_t monotonic_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / nanoseconds_per_microsecond;
}

// The devices of one source, for the status line.
struct Tally {
  std::size_t devices = 0;
  std::size_t well = 0;
  SourceState worst = SourceState::ok;
};

std::map<std::string_view, Tally> tally(const Sources& sources) {
  std::map<std::string_view, Tally> tallies;
  for (const auto& [key, status] : sources.list()) {
    if (!status.state || *status.state == SourceState::absent) continue;
    Tally& of = tallies[status.source];
    ++of.devices;
    of.well += *status.state == SourceState::ok ? 1U : 0U;
    of.worst = std::max(of.worst, *status.state);
  }
  return tallies;
}

// "8 GPUs", "cpu, rapl ok", "hwmon (1 of 5) error".
std::vector<std::string> source_parts(const Sources& sources) {
  std::vector<std::string> parts;
  std::map<SourceState, std::vector<std::string>> by_state;
  std::size_t gpus = 0;
  for (const auto& [source, of] : tally(sources)) {
    const bool is_gpu = is_gpu_source(source);
    if (is_gpu) gpus += of.well;
    if (is_gpu && of.worst == SourceState::ok) continue;
    const std::size_t bad = of.devices - of.well;
    by_state[of.worst].push_back(of.well == 0 || bad == 0 ? std::string(source)
                                                          : fmt::format("{} ({} of {})", source, bad, of.devices));
  }
  if (gpus > 0) parts.push_back(fmt::format("{} GPU{}", gpus, gpus == 1 ? "" : "s"));
  for (const auto& [state, names] : by_state)
    parts.push_back(fmt::format("{} {}", fmt::join(names, ", "), name(state)));
  return parts;
}

}  // namespace

std::int64_t watchdog_interval(std::string_view usec, std::string_view pid, std::int64_t own_pid) {
  if (!pid.empty() && whole_number(pid) != own_pid) return 0;
  return std::max<std::int64_t>(whole_number(usec), 0);
}

Service::Service(asio::io_context& loop, Clock& clock, const Supervisor& supervisor)
    : clock_(clock), started_ns_(clock.now().steady_ns) {
  const std::string& path = supervisor.notify_socket;
  if (path.size() < 2 || path.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (path.front() != '/' && path.front() != '@') return;
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return;
  address_ = path;
  if (path.front() == '@') address_.front() = '\0';
  const std::int64_t half_us = supervisor.watchdog_us / 2;
  if (half_us > 0) asio::co_spawn(loop, feed(half_us * nanoseconds_per_microsecond, alive_), asio::detached);
}

Service::~Service() {
  *alive_ = false;
  if (socket_ >= 0) ::close(socket_);
}

bool Service::send(std::string_view message) const {
  if (address_.empty()) return true;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  // The length of an abstract name excludes the terminating NUL, that of a path includes it (unix(7)).
  const std::size_t length = offsetof(sockaddr_un, sun_path) + address_.size() + (address_.front() == '\0' ? 0 : 1);
  const ssize_t sent = ::sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&to), static_cast<socklen_t>(length));
  return sent == static_cast<ssize_t>(message.size());
}

// Holds `alive`, because the loop may outlive the service.
asio::awaitable<void> Service::feed(std::int64_t every_ns, std::shared_ptr<const bool> alive) {
  if (!*alive) co_return;
  const std::unique_ptr<Alarm> alarm = clock_.alarm();
  while (*alive) {
    send("WATCHDOG=1");
    co_await alarm->wait_until(clock_.now().steady_ns + every_ns);
  }
}

void Service::opening(std::string_view what) {
  // A newline in a path would begin another assignment.
  send(fmt::format("STATUS=opening {}\nEXTEND_TIMEOUT_USEC={}", text::printable(what), opening_limit_us));
}

void Service::update(bool settled, const std::function<std::string()>& status) {
  if (address_.empty()) return;
  const std::int64_t now_ns = clock_.now().steady_ns;
  if (!ready_ && (settled || now_ns - started_ns_ >= ready_wait_ns)) {
    ready_ = send("READY=1");
    status_due_ns_ = 0;
  }
  if (now_ns < status_due_ns_) return;
  status_due_ns_ = now_ns + status_period_ns;
  std::string line = status();
  if (!trouble_.empty()) line += "; " + trouble_;
  if (line != shown_ && send("STATUS=" + text::printable(line))) shown_ = std::move(line);
}

void Service::reloading() {
  if (!ready_) return;
  // Both in one message: systemd 253 treats RELOADING without its timestamp as a failure (Type=notify-reload).
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
}

void Service::reloaded(std::string_view trouble) {
  trouble_ = trouble;
  status_due_ns_ = 0;
  if (ready_) ready_ = send("READY=1");
}

void Service::stopping() {
  send("STOPPING=1\nSTATUS=storing the last samples");
}

std::string status_line(const Sources& sources, const Latest& latest, std::int64_t now_ns,
                        std::span<const std::string> addresses, std::optional<std::int64_t> history_bytes) {
  std::vector<std::string> parts = source_parts(sources);
  latest.visit(now_ns, [&parts](const Metric& metric, std::string_view, double value) {
    if (&metric == &node_power) parts.push_back(fmt::format("{:.0f} W", value));
  });
  parts.push_back(fmt::format("scrape {}", fmt::join(addresses, ", ")));
  if (!history_bytes) {
    parts.emplace_back("no history");
  } else if (*history_bytes > 0) {
    const double mebibytes = static_cast<double>(*history_bytes) / (1 << 20);
    parts.push_back(fmt::format("history {:.{}f} MiB", mebibytes, mebibytes < 10 ? 1 : 0));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace perjoule
