#include "daemon/web/access.hpp"

#include <fmt/format.h>

#include <string>

#include "config/text.hpp"
#include "daemon/http/host.hpp"

namespace perjoule::web {
namespace {

bool names_this_host(const http::Request& request) {
  const auto host = http::parse_host(request.host);
  return host && (host->name.empty() || host->name == "localhost" || host->address);
}

// Whether `origin` (RFC 6454 7: "http://localhost:10190") is where the request was sent to. "null", which sandboxed
// pages and files send, is not; nor is https, which this server does not speak.
bool is_own_origin(std::string_view origin, const http::Request& request) {
  constexpr std::string_view scheme = "http://";
  if (!text::equal_ignoring_case(origin.substr(0, scheme.size()), scheme)) return false;
  const auto from = http::parse_host(origin.substr(scheme.size()));
  const auto to = http::parse_host(request.host);
  return from && to && from->name == to->name && from->port == to->port;
}

}  // namespace

std::optional<std::string> refusal_of(const http::Request& request, std::string_view what) {
  if (!request.loopback)
    return fmt::format("{} answers only clients on this host; this client is on another one", what);
  if (!request.forwarded.empty())
    return fmt::format(
        "{} answers only direct clients on this host; a proxy forwarded this request (it has the field {})", what,
        text::quoted_short(request.forwarded));
  if (request.http_1_0)
    return fmt::format("{} answers only direct clients on this host; this request is HTTP/1.0, as proxies send it",
                       what);
  if (text::lower(request.fetch_site).find("cross-site") != std::string::npos)
    return fmt::format(
        "{} answers no page of another site (Sec-Fetch-Site was cross-site); type its address instead of "
        "following a link",
        what);
  if (!request.origin.empty() && !is_own_origin(request.origin, request))
    return fmt::format("{} answers no page of another site (Origin was {})", what, text::quoted_short(request.origin));
  if (!names_this_host(request))
    return fmt::format("{} answers only requests for localhost or an IP address (Host was {})", what,
                       text::quoted_short(request.host));
  return std::nullopt;
}

}  // namespace perjoule::web
