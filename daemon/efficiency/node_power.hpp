// Power and energy of the whole node, from the best source that is available and plausible now, in this order:
//
//   meter      a sensor at the node's inlet (hwmon sensor with role node)
//   psu        the sum of the power supplies' inputs (hwmon role psu_in)
//   psys       the platform as its firmware measures it (RAPL psys)
//   sum        the sum of the measured parts: CPU packages and DRAM (RAPL), GPUs; without fans, drives and the losses
//              of the power supplies
//   mixed      the same sum, with packages whose power is modelled
//   modelled   the same sum, where every part is modelled
//
// A source is refused while it is below the sum of the measured parts, or a power supply's input below its output, by
// more than 5 % and 10 W for three of its readings; it is taken again after three plausible ones. Until it is refused,
// nothing is shown or booked, so that no figure of the node is below a part of it.
//
// Nothing is shown before every source of the daemon has had its first call, every member of the ledger's last run has
// answered and the power of all parts is known, or 10 s have passed. The label does not change in the first 10 s, nor,
// once it has, for 60 s; if its source has no figure meanwhile, there is none.
//
// Energy is the sum of what the ledger booked for the members of that source, so node and parts agree to the
// microjoule. It is booked under the source that was the best one at the time. Loop's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/efficiency/node_members.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

inline constexpr auto node_power =
    gauge<Unit::watt>("perjoule_node_power_watts",
                      "Power of the node from the best source available now (meter, psu, psys, sum, mixed or modelled; "
                      "one series). Source sum has only the measured parts (CPU packages, DRAM, GPUs); in mixed and "
                      "modelled, CPU power is estimated from utilization. Absent while a member is silent.",
                      "source");
inline constexpr auto node_modelled_power =
    gauge<Unit::watt>("perjoule_node_modelled_watts",
                      "How much of perjoule_node_power_watts is modelled and not measured; 0 when nothing is.");
inline constexpr auto node_energy = persisted_counter<Unit::joule>(
    "perjoule_node_energy_joules_total",
    "Energy of the node, under the source that was the best one at the time (see perjoule_node_power_watts).",
    "source");
inline constexpr auto node_reading = gauge<Unit::watt>(
    "perjoule_node_reading_watts",
    "Power of the node by every available source. Do not sum them: each source measures the same node.", "source");
inline constexpr auto node_refused = persisted_counter<Unit::none>(
    "perjoule_node_source_refused_total",
    "How often a source of the node's power was refused, because it was below the sum of the node's parts, or a power "
    "supply's input below its output, by more than 5 % and 10 W for three readings.",
    "source");

enum class NodeSource : std::uint8_t { meter, psu, psys, sum, mixed, modelled };
inline constexpr std::array node_sources = {NodeSource::meter, NodeSource::psu,   NodeSource::psys,
                                            NodeSource::sum,   NodeSource::mixed, NodeSource::modelled};
[[nodiscard]] std::string_view name(NodeSource source);

class NodePower {
 public:
  // Takes the reading if it belongs to a member, else ignores it.
  void observe(const Observation& observation) { touched_ = members_.observe(observation) || touched_; }

  struct Reading {
    NodeSource source{};
    double watts = 0;
  };
  struct Derived {
    std::vector<Reading> readings;  // every source whose power is known now, in order of preference
    std::vector<NodeSource> gone;   // had a reading at the last call and has none now
    std::optional<Reading> best;
    double modelled_watts = 0;         // of the best one
    std::optional<NodeSource> hidden;  // the node's power was shown under this source and is not any more
    std::int64_t booked = 0;           // since the last call, by members of the best source
    // The same by origin; none: no member has that origin.
    std::array<std::optional<std::int64_t>, origins.size()> by_origin = {};
    std::int64_t unobserved_us = 0;
    std::vector<NodeSource> refused;  // since the last call
  };
  // Call it after the observations of one batch. The node is derived once per round: when every member of the best
  // source has been read since the last time, so that all of them are of the same tick. A member that is late is not
  // waited for: the node is then derived when the first member is read again. A change of the best source is shown at
  // once.
  [[nodiscard]] std::optional<Derived> derive(std::int64_t now_ns);

  // Whether every source of the daemon has had its first call. It has, unless this says otherwise.
  void settle(bool settled) { touched_ = settled_ = settled; }
  // Totals of members in the ledger's last run, in its form of keys.
  void expect(const std::vector<std::string>& keys);
  void forget(const std::unordered_set<SeriesId>& ids) { members_.forget(ids); }
  // A device was closed. Its members are awaited for an hour, or for 10 s after a reload, which may have removed them.
  void close(const std::unordered_set<SeriesId>& ids, std::int64_t now_ns);
  void reload() { reloaded_ = true; }
  // What an operator should know of it: which source is refused, which member is silent. "" if all is well.
  [[nodiscard]] std::string note(std::int64_t now_ns) const;

 private:
  // Of a candidate: its readings that were implausible, or plausible again, in a row.
  struct Trust {
    int low = 0;
    int good = 0;
    bool refused = false;
    std::int64_t read_ns = INT64_MIN;
    std::string why;
  };
  using Figures = std::array<NodeMembers::Figure, node_candidates.size()>;
  struct Choice {
    NodeCandidate candidate{};
    NodeSource label{};
  };
  [[nodiscard]] bool is_ready(std::int64_t now_ns);
  void say_silent(std::string key, std::int64_t now_ns);
  void judge(NodeCandidate candidate, const NodeMembers::Figure& figure, std::int64_t now_ns, Derived& derived);
  [[nodiscard]] std::string why_low(NodeCandidate candidate, double watts, std::int64_t now_ns) const;
  [[nodiscard]] std::optional<Choice> best_of(const Figures& figures) const;
  [[nodiscard]] std::optional<Choice> kept(const Figures& figures) const;
  [[nodiscard]] std::optional<Choice> choose(const std::optional<Choice>& best, const Figures& figures,
                                             std::int64_t now_ns);
  [[nodiscard]] NodeMembers::Member* leader(NodeCandidate candidate, std::int64_t now_ns);
  [[nodiscard]] bool begin_round(NodeCandidate candidate, std::int64_t now_ns);
  void list_readings(const Figures& figures, Derived& derived);
  void book(NodeCandidate candidate, std::int64_t now_ns, Derived& derived);
  [[nodiscard]] std::int64_t missed_us(NodeCandidate left, std::int64_t now_ns);

  NodeMembers members_;
  bool touched_ = false;
  bool settled_ = true;
  bool reloaded_ = false;
  std::int64_t reload_ends_ns_ = INT64_MIN;  // until then devices are closed because of a reload
  std::optional<std::int64_t> began_ns_;     // the first call of derive()
  std::vector<std::string> expected_;        // until then
  std::array<Trust, node_candidates.size()> trust_{};
  std::array<bool, node_sources.size()> answered_{};
  std::optional<Choice> chosen_;
  std::optional<NodeSource> shown_;    // the label under which the power is shown now
  std::int64_t chosen_ns_ = 0;         // when the label was chosen
  bool changed_ = false;               // it is not the first one
  bool changes_ = false;               // the next round is the first of this label
  std::optional<NodeCandidate> left_;  // and of other members than this one's
  std::int64_t round_ns_ = 0;          // of the last round
  std::int64_t unobserved_booked_us_ = 0;
  std::string silent_;          // the member for which there is no figure
  std::int64_t silent_ns_ = 0;  // since when
};

}  // namespace perjoule
