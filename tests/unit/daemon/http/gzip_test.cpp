#include "daemon/http/gzip.hpp"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/daemon/http/gunzip.hpp"

using perjoule::gunzip;
using perjoule::http::accepts_gzip;
using perjoule::http::gzip;

TEST_CASE("gzip: decompression gives the input back, at every level") {
  std::mt19937 random(1);
  std::string noise(70000, '\0');
  for (char& c : noise)
    c = static_cast<char>(random());
  std::string repeated;
  for (int i = 0; i < 5000; ++i)
    repeated += "perjoule_power_watts{gpu=\"" + std::to_string(i % 8) + "\"} 312.5\n";
  for (const auto& text : {std::string(), std::string("a"), noise, repeated})
    for (int level : {-3, 1, 6, 9, 20})
      CHECK(gunzip(gzip(text, level)) == text);
  CHECK(gzip(repeated).size() * 20 < repeated.size());
}

TEST_CASE("gzip: Accept-Encoding by RFC 9110") {
  for (auto yes : {"gzip", "GZip", "x-gzip", "deflate, gzip;q=0.5", "*", "gzip;q=1.000", " gzip ; q=0.001 ",
                   "br,gzip,deflate", "identity;q=1, *;q=0.5", "gzip;Q=0.3", ",,gzip", "*;q=0, gzip"})
    CHECK_MESSAGE(accepts_gzip(yes), std::string(yes));
  for (auto no : {"", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "br, deflate", "gzip;q=0, *", "gzipped",
                  "gzip;q=x", "gzip;q=2", "gzip;q=0.0001", "gzip;q=", "gzip;level=9", "*;q=0.0, br", "gz ip"})
    CHECK_FALSE_MESSAGE(accepts_gzip(no), std::string(no));
}
