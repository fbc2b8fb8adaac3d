// The client's side of a TLS handshake. Loop's thread only.
//
// The server's certificate must have the name as a subjectAltName (RFC 9525; a common name does not count) and come
// from an authority of the context. Names are sent to the server (SNI, RFC 6066 section 3), addresses are not.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "collectors/result.hpp"
#include "daemon/http/exchange.hpp"

namespace perjoule::http {

// On exchange->connection. `name`: host name or address; `where`: for messages. Errors: broken (the certificate is
// refused; says why and what to do), timeout, transient.
asio::awaitable<Result<void>> shake_hands(std::shared_ptr<Exchange> exchange,
                                          std::shared_ptr<asio::ssl::context> context, std::string name,
                                          std::string where);

// What to do when a read fails with `error` because the server refuses the client's certificate or its absence, which
// in TLS 1.3 it says only after the handshake; "" for any other error.
[[nodiscard]] std::string remedy_of(const error_code& error);

}  // namespace perjoule::http
