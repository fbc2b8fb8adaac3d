#include "daemon/base/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "collectors/sysfs.hpp"

namespace perjoule {

DescriptorShares shares_of(std::size_t limit) {
  DescriptorShares shares;
  shares.connections = std::clamp<std::size_t>(limit / 4, 1, 256);
  const std::size_t others = std::clamp<std::size_t>(limit / 8, 64, 1024);
  shares.sensor_files = limit - std::min(limit, shares.connections + others);
  return shares;
}

DescriptorShares share_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return shares_of(1024);
  const rlim_t soft = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (soft < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
  const DescriptorShares shares = shares_of(limit.rlim_cur);
  sysfs::keep_open_at_most(shares.sensor_files);
  return shares;
}

}  // namespace perjoule
