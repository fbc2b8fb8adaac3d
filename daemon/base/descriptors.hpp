// How the file descriptors of the process are shared out: sensor files keep theirs open to save an open per reading,
// but thousands of them must not take those of clients, databases and receivers. Main's thread, before others start.
#pragma once

#include <cstddef>

namespace perjoule {

struct DescriptorShares {
  std::size_t connections = 0;   // of the HTTP server
  std::size_t sensor_files = 0;  // that stay open between readings; the others are opened for each
};

// Of `limit` descriptors a quarter, at most 256, goes to connections, and an eighth, 64 to 1024, to everything else;
// sensor files get the rest.
[[nodiscard]] DescriptorShares shares_of(std::size_t limit);

// Raises the soft limit to the hard one, gives the sensor files their share, and returns all shares.
DescriptorShares share_descriptors();

}  // namespace perjoule
