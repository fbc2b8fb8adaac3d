// The row of the node's power and energy: NodePower (node_power.hpp) between the recorder and its derivations. Totals
// that the ledger has from before are shown with the first batch, before the power is known. Loop's thread only.
#pragma once

#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "daemon/efficiency/node_power.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/row.hpp"

namespace perjoule {

class NodeRow final : public Row {
 public:
  explicit NodeRow(Ledger& ledger);

  [[nodiscard]] std::span<const Metric* const> inputs() const override;
  [[nodiscard]] std::span<const Metric* const> outputs() const override;
  void configure(const config::Efficiency& /*settings*/) override { node_.reload(); }
  void settle(bool settled) override { node_.settle(settled); }
  void observe(const Observation& observation) override;
  void derive(const Stamp& stamp, Derivation& derivation) override;
  void forget(const std::unordered_set<SeriesId>& ids) override;
  void close(const std::unordered_set<SeriesId>& ids, std::int64_t now_ns) override { node_.close(ids, now_ns); }
  [[nodiscard]] std::string note(std::int64_t now_ns) const override { return node_.note(now_ns); }

 private:
  void show_kept(Derivation& derivation);

  Ledger& ledger_;
  NodePower node_;
  std::set<std::string> sensors_;          // keys of meters and power supplies, as the ledger has them
  std::unordered_set<SeriesId> known_;     // sensors that were looked at
  std::vector<std::string> kept_sources_;  // of node_energy, until they are shown
  std::vector<std::string> kept_origins_;  // of energy_by_source
  std::string refused_source_;             // one that was ever refused; the totals of all others go with it
};

}  // namespace perjoule
