// The members of the node: its meters, its power supplies and its parts, with what was last read of each and what is
// booked for them and not yet for the node. Here is decided which of them a source of the node's power needs, and
// whether its figure is whole: one member that is silent makes it absent, because a smaller sum would pass for the
// total. Loop's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/record/row.hpp"

namespace perjoule {

// What can measure the node, best first. `parts` is the sum of packages, memory and GPUs.
enum class NodeCandidate : std::uint8_t { meter, psu, psys, parts };
inline constexpr std::array node_candidates = {NodeCandidate::meter, NodeCandidate::psu, NodeCandidate::psys,
                                               NodeCandidate::parts};

class NodeMembers {
 public:
  enum class Part : std::uint8_t { meter, psu_in, psu_out, psys, package, modelled_package, dram, gpu };
  // Beside a GPU's energy: perjoule_gpu_power_watts, and when it was last found suspended.
  struct Board {
    double watts = 0;
    std::int64_t steady_ns = INT64_MIN;
    std::int64_t suspended_ns = INT64_MIN;
  };
  struct Member {
    Part part{};
    Origin origin = Origin::counter;
    std::optional<double> watts;
    bool stands = false;  // its counter stands still and nothing is read in its place
    std::int64_t steady_ns = 0;
    std::int64_t stale_after_ns = 0;
    std::int64_t interval_ns = 0;    // between its last two readings; 0: there was one
    std::int64_t unbooked = 0;       // booked for the member, not yet for the node
    std::int64_t unobserved_us = 0;  // since the start of the daemon
    bool updated = false;            // in this round (node_power.hpp)
    bool again = false;              // twice in this round
    std::string key;                 // metric and labels, as the ledger has them
    std::string place;               // a package's number, or a power supply's chip
    const Board* board = nullptr;    // of a GPU
  };

  // True: it is of a member.
  bool observe(const Observation& observation);
  // These left: series that were forgotten or whose device was closed. What is booked for them is kept for the node.
  // A member of a closed device is awaited.
  void forget(const std::unordered_set<SeriesId>& ids);
  void close(const std::unordered_set<SeriesId>& ids, std::int64_t until_ns);

  // A member that is not there yet; `key` as in Member. Until it is read, or until then, no figure is whole.
  // Where a package is modelled, its counter is not awaited.
  void await(std::string key, std::int64_t until_ns);
  // Nothing is awaited for longer than that.
  void await_until(std::int64_t until_ns);
  // The key of one that is awaited now; none: nothing is.
  [[nodiscard]] std::optional<std::string> awaited(std::int64_t now_ns);

  struct Figure {
    std::optional<double> watts;  // none: no member, or one of them has no power now
    double modelled_watts = 0;    // of them
    bool is_modelled = false;     // all of it
    const Member* silent = nullptr;
  };
  // Meters all measure the same node: the largest is taken, as the one closest to the wall socket.
  [[nodiscard]] Figure figure(NodeCandidate candidate, std::int64_t now_ns) const;
  // The parts whose power is measured and known. No source of the node may be below it.
  [[nodiscard]] double measured_parts(std::int64_t now_ns) const;
  // The power supply whose input is below its output by most, if one is.
  struct Supply {
    std::string chip;
    double in = 0;
    double out = 0;
  };
  [[nodiscard]] std::optional<Supply> worst_supply(std::int64_t now_ns) const;

  // Whether the figure of the candidate has this member's power now.
  [[nodiscard]] bool counts(const Member& member, NodeCandidate candidate, std::int64_t now_ns) const;
  [[nodiscard]] static bool belongs(Part part, NodeCandidate candidate);
  [[nodiscard]] std::map<SeriesId, Member>& list() { return members_; }
  // Those that left, with energy that is not booked for the node. The caller empties it.
  [[nodiscard]] std::vector<Member>& departed() { return departed_; }

 private:
  Member& add(const Observation& observation, Part part);
  [[nodiscard]] const Member* find(Part part, std::string_view place) const;
  [[nodiscard]] bool model_stands_in(const Member& modelled, std::int64_t now_ns) const;

  std::map<SeriesId, Member> members_;
  std::map<std::string, Board, std::less<>> boards_;  // by label values
  std::vector<Member> departed_;
  struct Awaited {
    std::int64_t until_ns = 0;
    std::string package;  // its number; "": it is no package
  };
  std::map<std::string, Awaited, std::less<>> awaited_;  // by key
};

}  // namespace perjoule
