#include "daemon/http/listener.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace perjoule::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

std::optional<HostPort> split(std::string_view address) {
  auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = address.substr(0, colon);
  auto port = address.substr(colon + 1);
  std::uint16_t number = 0;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']'))
    return HostPort{std::string(host.substr(1, host.size() - 2)), number};
  // Without brackets "::1:80" is ambiguous: an address with port 80, or an address alone.
  if (host.find_first_of(":[]") != std::string_view::npos) return std::nullopt;
  return HostPort{std::string(host), number};
}

Error cannot_listen(const std::string& address, std::uint16_t port, const error_code& error) {
  std::string what = fmt::format("cannot listen on {}: {}", address, error.message());
  if (error == asio::error::address_in_use)
    return {Fault::broken, what, fmt::format("find the process that uses the port: ss -ltnp 'sport = :{}'", port)};
  if (error == asio::error::access_denied)
    return {Fault::denied, what, "use a port from 1024 on, or give the daemon CAP_NET_BIND_SERVICE"};
  return {Fault::broken, what, "list the addresses of this host: ip -brief address"};
}

tcp::acceptor open_acceptor(asio::io_context& context, const tcp::endpoint& endpoint, bool v6_only, error_code& error) {
  tcp::acceptor acceptor(context);
  acceptor.open(endpoint.protocol(), error);
  // SO_REUSEADDR, so that a restart need not wait for connections of the previous run in TIME_WAIT.
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(v6_only), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  return acceptor;
}

// The first IPv4 address of a name, or its first address if it has no IPv4: one socket per configured address.
tcp::endpoint resolve(asio::io_context& context, const HostPort& address, error_code& error) {
  auto literal = asio::ip::make_address(address.host, error);
  if (!error) return {literal, address.port};
  tcp::resolver resolver(context);
  auto found = resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
  if (error || found.empty()) return {};
  auto is_v4 = [](const auto& entry) { return entry.endpoint().address().is_v4(); };
  auto v4 = std::find_if(found.begin(), found.end(), is_v4);
  return (v4 == found.end() ? found.begin() : v4)->endpoint();
}

}  // namespace

Result<tcp::acceptor> listen(asio::io_context& context, const std::string& address,
                             std::span<const std::string> others) {
  auto parts = split(address);
  if (!parts) {
    return Error{Fault::broken, fmt::format("listen address \"{}\" is not HOST:PORT", address),
                 "write it as 127.0.0.1:10190, [::1]:10190, localhost:10190, or :10190 for every interface"};
  }
  error_code error;
  const auto shares_port = [&](const std::string& other) {
    const auto of_other = split(other);
    return other != address && of_other && of_other->port == parts->port && parts->port != 0;
  };
  if (parts->host.empty() || (parts->host == "::" && std::none_of(others.begin(), others.end(), shares_port))) {
    auto both = open_acceptor(context, {tcp::v6(), parts->port}, false, error);
    // A kernel without IPv6 fails at socket(2); one where IPv6 is disabled (sysctl) fails at bind(2).
    if (error == asio::error::address_family_not_supported || error == boost::system::errc::address_not_available)
      both = open_acceptor(context, {tcp::v4(), parts->port}, false, error);
    if (error) return cannot_listen(address, parts->port, error);
    return both;
  }
  auto endpoint = resolve(context, *parts, error);
  if (error) return cannot_listen(address, parts->port, error);
  auto acceptor = open_acceptor(context, endpoint, true, error);
  if (error) return cannot_listen(address, parts->port, error);
  return acceptor;
}

std::string to_text(const tcp::endpoint& endpoint) {
  auto host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

}  // namespace perjoule::http
