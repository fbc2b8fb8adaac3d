#include "daemon/web/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "config/text.hpp"
#include "daemon/http/gzip.hpp"
#include "daemon/http/target.hpp"
#include "daemon/web/access.hpp"

namespace perjoule::web {

namespace {

constexpr std::int64_t render_again_ns = 100 * nanoseconds_per_millisecond;
constexpr std::string_view api_prefix = "/api/v1/";
constexpr std::string_view text_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view openmetrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// Splits at `separator`, trims, and calls `each` for every part.
template <class Each>
void split(std::string_view text, char separator, const Each& each) {
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    each(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

http::Response plain(unsigned status, std::string text) {
  http::Response response;
  response.status = status;
  response.body = http::make_body(std::move(text));
  return response;
}

http::Response only(std::string methods) {
  http::Response response = plain(405, "method not allowed; use " + methods + "\n");
  response.headers.emplace_back("Allow", std::move(methods));
  return response;
}

http::Response json(query::Answer answer, const http::BodyBudget& bodies) {
  http::Response response;
  response.status = answer.status;
  response.content_type = "application/json";
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = bodies.hold(std::move(answer.body));
  return response;
}

bool reads(const http::Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

// As Go's servers answer "//metrics", which a base URL with a final slash makes of "/metrics".
http::Response moved(const http::Request& request, std::string_view path) {
  http::Response response = plain(301, fmt::format("moved to {}\n", http::escape_path(path)));
  std::string location = http::escape_path(path);
  if (!request.query_text.empty()) (location += '?') += request.query_text;
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

// The parameters of the body come before those of the URL, as in Go's Request.Form: where a name may stand once, the
// body's wins. A body of another type is no form; a missing type is taken for one.
std::optional<query::Parameters> merged_parameters(const http::Request& request) {
  const std::string_view type = trim(std::string_view(request.content_type).substr(0, request.content_type.find(';')));
  const bool form = type.empty() || text::equal_ignoring_case(type, "application/x-www-form-urlencoded");
  if (request.method != "POST" || !form) return request.query;
  std::optional<query::Parameters> parameters = http::decode_query(request.body);
  if (parameters) parameters->insert(parameters->end(), request.query.begin(), request.query.end());
  return parameters;
}

http::Response reloaded(Reloader::Outcome outcome) {
  switch (outcome) {
    case Reloader::Outcome::accepted:
      return plain(200, "configuration reloaded.\n");
    case Reloader::Outcome::hangs:
      return plain(503,
                   "the configuration files are still being read, see the log; the running one stays in force "
                   "until they are.\n");
    case Reloader::Outcome::refused:
      break;
  }
  return plain(500, "configuration refused, see the log; the running one stays in force.\n");
}

std::string_view unquoted(std::string_view text) {
  return text.size() >= 2 && text.starts_with('"') && text.ends_with('"') ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

Format negotiate(std::string_view accept) {
  const std::string lowered = text::lower(accept);  // types and parameters have no case, and our values no letters
  double openmetrics = 0;
  double text = 0;
  split(lowered, ',', [&](std::string_view range) {
    std::string_view type;
    double quality = 1;
    bool admitted = true;
    split(range, ';', [&](std::string_view part) {
      if (type.empty()) {
        type = part;
      } else if (part.starts_with("q=")) {
        std::from_chars(part.data() + 2, part.data() + part.size(), quality);
      } else if (part.starts_with("version=")) {
        const std::string_view version = unquoted(part.substr(std::string_view("version=").size()));
        admitted = version == "1.0.0" || version == "0.0.1" || version == "0.0.4";
      }
    });
    if (type == "application/openmetrics-text" && admitted) openmetrics = std::max(openmetrics, quality);
    if (type == "text/plain" || type == "text/*" || type == "*/*") text = std::max(text, quality);
  });
  return openmetrics > 0 && openmetrics >= text ? Format::openmetrics : Format::text;
}

http::Response Routes::operator()(const http::Request& request) {
  if (request.path == setup_.telemetry_path) return reads(request) ? metrics(request) : only("GET, HEAD");
  if (request.path == "/-/healthy") return reads(request) ? plain(200, "perjouled is healthy.\n") : only("GET, HEAD");
  if (request.path == "/-/ready") {
    if (!reads(request)) return only("GET, HEAD");
    const bool ready = setup_.source_status.get()->ready;
    return ready ? plain(200, "perjouled is ready.\n")
                 : plain(503, "perjouled is not ready: waiting for the first call of every source.\n");
  }
  if (request.path == "/-/reload") return reload(request);
  if (request.path.starts_with(api_prefix)) return api(request);
  if (request.path == "/") return reads(request) ? page(request) : only("GET, HEAD");
  const std::string cleaned = http::clean_path(request.path);
  if (cleaned != request.path) return moved(request, cleaned);
  return plain(404, "not found; see /\n");
}

http::Response Routes::api(const http::Request& request) const {
  if (!reads(request) && request.method != "POST") return only("GET, HEAD, POST");
  if (const auto refusal = refusal_of(request, "this API"))
    return json(query::error_answer(403, "forbidden", *refusal), setup_.bodies);
  std::string path = request.path.substr(api_prefix.size());
  const Setup::Ask& ask = path == "alerts" || path == "rules" ? setup_.ask_rules : setup_.ask;
  if (!ask)
    return json(query::error_answer(503, "unavailable",
                                    "there is no history: the daemon runs with --no-storage or storage.enabled false"),
                setup_.bodies);
  auto parameters = merged_parameters(request);
  if (!parameters) return json(query::error_answer(400, "bad_data", "body is not valid form data"), setup_.bodies);
  http::Response response;
  response.later = [&ask, bodies = setup_.bodies, path = std::move(path),
                    parameters = std::move(*parameters)](http::Reply reply) mutable {
    ask(std::move(path), std::move(parameters),
        [bodies, reply = std::move(reply)](query::Answer answer) { reply(json(std::move(answer), bodies)); });
  };
  return response;
}

// What was refused may hold secrets, so the client gets one line and the log the rest.
http::Response Routes::reload(const http::Request& request) {
  if (request.method != "POST" && request.method != "PUT") return only("POST, PUT");
  if (!setup_.reload)
    return plain(403, "reload over HTTP is disabled; start with --web.enable-lifecycle, or send SIGHUP.\n");
  if (const auto refusal = refusal_of(request, "reload")) return plain(403, *refusal + "\n");
  const std::int64_t now_ns = setup_.clock.now().steady_ns;
  const bool soon = reload_asked_ns_ && now_ns - *reload_asked_ns_ < nanoseconds_per_second;
  if (soon || reloading_->exchange(true)) {
    http::Response busy = plain(429, "at most one reload per second, one after the other; try again later.\n");
    busy.headers.emplace_back("Retry-After", "1");
    return busy;
  }
  reload_asked_ns_ = now_ns;
  http::Response response;
  response.later = [this, reloading = reloading_](http::Reply reply) {
    setup_.reload([reloading, reply = std::move(reply)](Reloader::Outcome outcome) {
      *reloading = false;
      reply(reloaded(outcome));
    });
  };
  return response;
}

std::string Routes::render(Format format, const Latest::Admit& admit, bool self) {
  const auto before = std::chrono::steady_clock::now();
  std::string out;
  out.reserve(largest_ + largest_ / 16);
  setup_.latest.write(out, format, setup_.clock.now().steady_ns, admit);
  if (self) setup_.instruments.write(out, format);
  if (format == Format::openmetrics) out += "# EOF\n";
  largest_ = std::max(largest_, out.size());
  setup_.instruments.scrape(out.size(),
                            std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
  return out;
}

// The cached rendering, made again when it is older than render_again_ns. When there are rendered_max, the oldest goes.
Routes::Rendered& Routes::rendered(Format format, const Collects& collects) {
  const std::int64_t now_ns = setup_.clock.now().steady_ns;
  const std::pair key(format, collects);
  const auto older = [](const auto& a, const auto& b) { return a.second.steady_ns < b.second.steady_ns; };
  if (rendered_.size() >= rendered_max && !rendered_.contains(key))
    rendered_.erase(std::min_element(rendered_.begin(), rendered_.end(), older));
  Rendered& found = rendered_[key];
  if (found.plain && now_ns - found.steady_ns <= render_again_ns) return found;
  std::set<std::string_view> families;
  for (const std::string_view name : collects) {
    const auto& of = setup_.collects.find(name)->second;
    families.insert(of.begin(), of.end());
  }
  const bool all = collects.empty();
  Latest::Admit admit;
  if (!all) admit = [&families](const Metric& metric) { return families.contains(metric.name); };
  found = {now_ns, setup_.bodies.hold(render(format, admit, all || collects.contains("self"))), nullptr};
  return found;
}

http::Response Routes::metrics(const http::Request& request) {
  const Format format = negotiate(request.accept);
  Collects collects;
  for (const auto& [key, value] : request.query) {
    if (key != "collect[]") continue;
    const auto found = setup_.collects.find(value);
    if (found == setup_.collects.end())
      return plain(400, fmt::format("collect[]={}: unknown collector; see `perjouled describe metrics`\n",
                                    text::printable(value)));
    collects.insert(found->first);
  }
  http::Response response;
  response.content_type = format == Format::text ? text_type : openmetrics_type;
  response.headers.emplace_back("Vary", "Accept, Accept-Encoding");
  Rendered& made = rendered(format, collects);
  if (!http::accepts_gzip(request.accept_encoding)) {
    response.body = made.plain;
    return response;
  }
  if (!made.gzipped) made.gzipped = setup_.bodies.hold(http::gzip(*made.plain));
  response.content_encoding = "gzip";
  response.body = made.gzipped;
  return response;
}

http::Response Routes::page(const http::Request& request) const {
  if (const auto refusal = refusal_of(request, "this page"))
    return plain(403, *refusal + "\n/metrics and /-/healthy answer any client.\n");
  http::Response response;
  response.content_type = "text/html; charset=utf-8";
  response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = http::make_body(landing_page(setup_, *setup_.source_status.get(), setup_.clock.now().wall_ms));
  return response;
}

}  // namespace perjoule::web
