// Summary of the samples of one bucket, computed independently of storage/codec/rollup.
#pragma once

#include <algorithm>
#include <cstdint>

namespace perjoule {

struct BucketCount {
  double min = 0;
  double max = 0;
  double last = 0;
  std::int64_t count = 0;
  double increase = 0;

  void add(double value) {
    min = count == 0 ? value : std::min(min, value);
    max = count == 0 ? value : std::max(max, value);
    last = value;
    ++count;
  }
};

}  // namespace perjoule
