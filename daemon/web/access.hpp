// Who may use the page, the API and reload: local clients, which are programs and browser pages of this host that ask
// the daemon directly. Pure; any thread.
//
// A loopback address alone does not make a client local. A reverse proxy on this host has one, and asks for clients
// elsewhere: it adds a field that says so (Via, X-Forwarded-For, ..), or talks HTTP/1.0 as nginx does by default. So
// has a browser on this host that shows a page of another site: it names that site (Sec-Fetch-Site, Origin), or, when
// the site's name was made to resolve to 127.0.0.1 (DNS rebinding), sends that name as Host. A proxy that speaks
// HTTP/1.1, replaces the Host and adds no field looks exactly like a local client.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.hpp"

namespace perjoule::web {

// Why `request` is not one of a local client, as a sentence about `what` ("this API"); nothing when it is one. Text
// that came from the client is shortened and escaped.
[[nodiscard]] std::optional<std::string> refusal_of(const http::Request& request, std::string_view what);

}  // namespace perjoule::web
