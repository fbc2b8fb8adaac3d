#include "daemon/commands/running_daemon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>

#include "collectors/gpu/metrics.hpp"
#include "collectors/labels.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/http/client.hpp"
#include "daemon/record/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::chrono::milliseconds deadline{2000};
constexpr std::chrono::milliseconds lanes_deadline{100};
constexpr std::size_t body_bytes_max = std::size_t{16} << 20;

// Stops the loop, which would otherwise wait for the connection that the client keeps.
asio::awaitable<void> fetch(asio::io_context* loop, http::Client* client, http::Call call,
                            Result<http::Answer>* answer) {
  *answer = co_await client->fetch(std::move(call));
  loop->stop();
}

Result<http::Answer> get(const std::string& url) {
  asio::io_context loop(1);
  LaneThreads lanes(loop);
  Result<http::Answer> answer = Error{};
  {
    http::Client client(loop, {.make_lane = [&lanes] { return lanes.make(); }});
    http::Call call;
    call.url = url;
    call.deadline = deadline;
    call.body_bytes = body_bytes_max;
    asio::co_spawn(loop, fetch(&loop, &client, std::move(call), &answer), asio::detached);
    loop.run_for(deadline + lanes_deadline);
  }
  [[maybe_unused]] const bool ended = lanes.drain(lanes_deadline);
  return answer;
}

}  // namespace

std::map<std::pair<std::string, std::string>, SourceState> states_in(std::string_view exposition) {
  std::map<std::pair<std::string, std::string>, SourceState> states;
  while (!exposition.empty()) {
    std::string_view line = exposition.substr(0, exposition.find('\n'));
    exposition.remove_prefix(std::min(line.size() + 1, exposition.size()));
    constexpr std::string_view one = "} 1";
    if (!line.starts_with(source_state.name) || !line.ends_with(one)) continue;
    line.remove_prefix(source_state.name.size());
    line.remove_suffix(one.size());
    if (!line.starts_with('{')) continue;
    const auto labels = parse_labels(line.substr(1));
    if (!labels) continue;
    const std::string_view word = label_value(*labels, "state");
    const auto state = std::find_if(source_states.begin(), source_states.end(),
                                    [word](SourceState candidate) { return name(candidate) == word; });
    if (state == source_states.end()) continue;
    states.insert_or_assign({std::string(label_value(*labels, "source")), std::string(label_value(*labels, "device"))},
                            *state);
  }
  return states;
}

double value_in(std::string_view exposition, std::string_view name) {
  const std::string start = fmt::format("\n{} ", name);
  const std::size_t at = exposition.find(start);
  if (at == std::string_view::npos) return 0;
  exposition.remove_prefix(at + start.size());
  double value = 0;
  std::from_chars(exposition.data(), exposition.data() + exposition.size(), value);
  return value;
}

std::string reachable(std::string_view listen_address) {
  if (listen_address.empty()) return "";
  const std::size_t colon = std::min(listen_address.rfind(':'), listen_address.size());
  const std::string_view host = listen_address.substr(0, colon);
  const std::string_view port = listen_address.substr(colon);
  if (host.empty() || host == "0.0.0.0") return fmt::format("127.0.0.1{}", port);
  if (host == "[::]") return fmt::format("[::1]{}", port);
  return std::string(listen_address);
}

RunningDaemon ask_daemon(const config::Settings& settings) {
  RunningDaemon daemon;
  if (settings.web.listen_address.empty()) return daemon;
  daemon.url = fmt::format("http://{}{}", reachable(settings.web.listen_address.front()), settings.web.telemetry_path);
  const Result<http::Answer> answer = get(daemon.url);
  if (!answer) {
    daemon.why = answer.error().what;
    return daemon;
  }
  if (answer->status != 200) {
    daemon.why = fmt::format("status {}", answer->status);
    return daemon;
  }
  daemon.states = states_in(answer->body);
  daemon.gpus_answering = static_cast<std::size_t>(value_in(answer->body, gpus.name));
  daemon.gpus_expected = static_cast<std::size_t>(value_in(answer->body, gpus_expected.name));
  daemon.answers = !daemon.states.empty();
  if (!daemon.answers) daemon.why = "the answer is not from perjouled";
  return daemon;
}

}  // namespace perjoule
