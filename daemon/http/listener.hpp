// Opens a listening, non-blocking socket for a configured address. Called at the start only, on one thread: it may
// block on the resolver.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <span>
#include <string>

#include "collectors/result.hpp"

namespace perjoule::http {

// "127.0.0.1:10190", "[::1]:10190", "localhost:10190"; ":10190" and "[::]:10190" are every interface, IPv4 and IPv6, as
// with other exporters. `others`: all addresses to listen on; where another one has the same port, "[::]" is IPv6 only,
// so that "0.0.0.0:10190" can stand beside it. Port 0: any free one. Errors name the address, the cause and a remedy:
// broken (not an address, in use, not on this host) or denied (a port below 1024).
[[nodiscard]] Result<boost::asio::ip::tcp::acceptor> listen(boost::asio::io_context& context,
                                                            const std::string& address,
                                                            std::span<const std::string> others);

// "127.0.0.1:10190", "[::1]:10190".
[[nodiscard]] std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace perjoule::http
