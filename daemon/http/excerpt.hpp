// The beginning of a response's body for a log line, without the secrets that its request had, which a server may
// repeat. Pure; any thread.
#pragma once

#include <string>

#include "daemon/http/client.hpp"
#include "daemon/http/keyring.hpp"

namespace perjoule::http {

inline constexpr std::size_t excerpt_bytes_max = 200;

// Secret are the credentials, the values of call.access.headers, the values in the query of the URL and the long parts
// of its path.
[[nodiscard]] std::string excerpt(const Answer& answer, const Call& call, const Credentials& credentials);

}  // namespace perjoule::http
