#include "daemon/http/host.hpp"

#include <doctest/doctest.h>

#include <string>

using perjoule::http::parse_host;

TEST_CASE("host: names without case, addresses, ports") {
  const struct {
    const char* text;
    const char* name;
    bool address;
    int port;
  } table[] = {
      {"", "", false, 80},
      {"LocalHost", "localhost", false, 80},
      {"localhost.:10190", "localhost", false, 10190},
      {"GPU_07.example:", "gpu_07.example", false, 80},
      {"127.0.0.1:1", "127.0.0.1", true, 1},
      {"127.1", "127.1", true, 80},
      {"[::1]", "::1", true, 80},
      {"[FE80::1]:65535", "fe80::1", true, 65535},
  };
  for (const auto& row : table) {
    CAPTURE(row.text);
    const auto host = parse_host(row.text);
    REQUIRE(host);
    CHECK(host->name == row.name);
    CHECK(host->address == row.address);
    CHECK(host->port == row.port);
  }
  const std::string label(63, 'a');
  CHECK(parse_host(label + "." + label + "." + label));
  CHECK_FALSE(parse_host(label + "." + label + "." + label + "." + label));
}
