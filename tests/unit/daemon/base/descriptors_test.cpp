#include "daemon/base/descriptors.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>

using perjoule::shares_of;

TEST_CASE("descriptors: clients, sensor files and the rest get a share of any limit") {
  for (const std::size_t limit : std::initializer_list<std::size_t>{1, 64, 128, 512, 1024, 65536, 1'048'576}) {
    CAPTURE(limit);
    const auto shares = shares_of(limit);
    CHECK(shares.connections >= 1);
    CHECK(shares.connections <= 256);
    if (limit >= 128) CHECK(shares.connections + shares.sensor_files + 64 <= limit);
  }
  CHECK(shares_of(1024).connections == 256);
  CHECK(shares_of(1024).sensor_files == 640);
  CHECK(shares_of(64).sensor_files == 0);
}
