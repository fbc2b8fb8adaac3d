// Power and energy of the whole node, from the best source available now, in this order:
//
//   meter     a sensor at the node's inlet (hwmon sensor with role node)
//   psu       the sum of the power supplies' inputs (hwmon role psu_in)
//   sum       the sum of the measured parts: CPU packages and DRAM (RAPL), GPUs; without fans, drives and the losses
//             of the power supplies
//   modelled  like sum, with CPU packages whose power is modelled
//
// Energy is the sum of what the ledger booked for the members of that source, so node and parts agree to the
// microjoule. It is booked under the source that was the best one at the time. The power of a GPU in the sum is
// perjoule_gpu_power_watts where it was read with the energy: a counter that moves every 100 ms gives the power of a
// second with an error of 10 %. Loop's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

inline constexpr auto node_power =
    gauge<Unit::watt>("perjoule_node_power_watts",
                      "Power of the node from the best source available now (meter, psu, sum or modelled; one series). "
                      "Source sum has only the measured parts (CPU packages, DRAM, GPUs); in modelled, CPU power is "
                      "estimated from utilization.",
                      "source");
inline constexpr auto node_energy = persisted_counter<Unit::joule>(
    "perjoule_node_energy_joules_total",
    "Energy of the node, under the source that was the best one at the time (see perjoule_node_power_watts).",
    "source");
inline constexpr auto node_reading = gauge<Unit::watt>(
    "perjoule_node_reading_watts",
    "Power of the node by every available source. Do not sum them: each source measures the same node.", "source");

enum class NodeSource : std::uint8_t { meter, psu, sum, modelled };
inline constexpr std::array node_sources = {NodeSource::meter, NodeSource::psu, NodeSource::sum, NodeSource::modelled};
[[nodiscard]] std::string_view name(NodeSource source);

class NodePower {
 public:
  // Takes the reading if it belongs to a source, else ignores it.
  void observe(const Observation& observation);

  struct Reading {
    NodeSource source{};
    double watts = 0;
  };
  struct Derived {
    std::vector<Reading> readings;  // every source whose power is known now, in order of preference
    std::optional<Reading> best;
    std::int64_t booked = 0;  // since the last call, by members of the best source
    // The same by origin; none: no member has that origin.
    std::array<std::optional<std::int64_t>, origins.size()> by_origin = {};
    std::int64_t unobserved_us = 0;
    std::vector<NodeSource> gone;  // had a reading at the last call and has none now
    bool best_changed = false;
  };
  // Call it after the observations of one batch. The node is derived once per round: when every fresh member of the
  // best source has been read since the last time, so that all of them are of the same tick. A member that is late is
  // not waited for: the node is then derived when the first member is read again. A change of the best source is shown
  // at once.
  [[nodiscard]] std::optional<Derived> derive(std::int64_t now_ns);
  void forget(const std::unordered_set<SeriesId>& ids) {
    std::erase_if(members_, [&](const auto& member) { return ids.contains(member.first); });
  }

 private:
  enum class Part : std::uint8_t { meter, psu, package, modelled_package, other };
  struct Member {
    Part part{};
    Origin origin = Origin::counter;
    std::optional<double> watts;
    std::int64_t steady_ns = 0;
    std::int64_t stale_after_ns = 0;
    std::int64_t interval_ns = 0;    // between its last two readings; 0: there was one
    std::int64_t unbooked = 0;       // booked for the member, not yet for the node
    std::int64_t unobserved_us = 0;  // since the start of the daemon
    bool updated = false;            // in this round
    bool again = false;              // twice in this round
    std::string gpu;                 // label values of a GPU, for gauges_
  };
  struct Gauge {
    double watts = 0;
    std::int64_t steady_ns = 0;
  };
  [[nodiscard]] static std::optional<Part> classify(const Observation& observation);
  [[nodiscard]] static bool belongs(Part part, NodeSource source);
  [[nodiscard]] std::optional<double> watts_of(const Member& member) const;
  [[nodiscard]] bool begin_round(const Member* leader, std::optional<NodeSource> best, std::int64_t now_ns);
  [[nodiscard]] bool answers(Part part, std::int64_t now_ns) const;
  [[nodiscard]] std::optional<double> power(NodeSource source, std::int64_t now_ns) const;
  std::map<SeriesId, Member> members_;
  std::map<std::string, Gauge, std::less<>> gauges_;  // perjoule_gpu_power_watts, by label values
  std::array<bool, node_sources.size()> answered_{};
  std::optional<NodeSource> best_;
  std::int64_t unobserved_booked_us_ = 0;
};

class NodeRow final : public Row {
 public:
  // Totals that the ledger has from before are shown with the first batch, before the power is known.
  explicit NodeRow(const Ledger& ledger);
  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  void observe(const Observation& observation) override { node_.observe(observation); }
  void derive(const Stamp& stamp, Derivation& derivation) override;
  void forget(const std::unordered_set<SeriesId>& ids) override { node_.forget(ids); }

 private:
  void show_kept(Derivation& derivation);

  NodePower node_;
  std::vector<std::string> kept_sources_;  // of node_energy, until they are shown
  std::vector<std::string> kept_origins_;  // of energy_by_source
};

}  // namespace perjoule
