// The true power of a simulated device: constant between changes, so that its energy is an exact integer in
// microjoules. The daemon reads it through a counter that wraps and resets, or as power.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace perjoule::simulation {

class Truth {
 public:
  Truth(std::uint64_t seed, std::int64_t from_us, std::int64_t to_us, std::int64_t watts_max) {
    std::mt19937_64 random(seed);
    std::int64_t energy = 0;
    std::int64_t watts = watts_max / 4;
    for (std::int64_t at = from_us; at < to_us;) {
      pieces_.push_back({at, energy, watts});
      const std::int64_t length = 500'000 + static_cast<std::int64_t>(random() % 60'000'000);
      energy += watts * length;
      at += length;
      watts = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(watts_max));
    }
  }
  [[nodiscard]] std::int64_t microjoules(std::int64_t at_us) const {
    const Piece& piece = find(at_us);
    return piece.energy + piece.watts * (at_us - piece.at);
  }
  [[nodiscard]] std::int64_t watts(std::int64_t at_us) const { return find(at_us).watts; }
  [[nodiscard]] std::int64_t changes(std::int64_t from_us, std::int64_t to_us) const {
    std::int64_t count = 0;
    for (const Piece& piece : pieces_)
      count += piece.at > from_us && piece.at <= to_us ? 1 : 0;
    return count;
  }

 private:
  struct Piece {
    std::int64_t at, energy, watts;
  };
  [[nodiscard]] const Piece& find(std::int64_t at_us) const {
    std::size_t low = 0;
    std::size_t high = pieces_.size();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (pieces_[middle].at <= at_us ? low : high) = middle;
    }
    return pieces_[low];
  }
  std::vector<Piece> pieces_;
};

}  // namespace perjoule::simulation
