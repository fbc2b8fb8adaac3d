// A sink whose commits end when the test calls answer(), with success or failure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/sink.hpp"

namespace perjoule {

class HandSink : public storage::Sink {
 public:
  struct Commit {
    std::uint64_t generation = 0;
    storage::LedgerRows changed;
    bool history = false;
    OnReport done;
  };

  void describe(storage::SeriesDescription series) override { described_[series.id] = std::move(series); }
  void describe(storage::GroupDescription group) override { groups[group.id] = std::move(group); }
  void forget(std::vector<SeriesId> series) override {
    for (const SeriesId id : series)
      described_.erase(id);
    forgotten += series.size();
  }
  void forget(storage::GroupId group) override { groups.erase(group); }
  void push(storage::Tick tick) override {
    undescribed += groups.contains(tick.group) ? 0U : 1U;
    for (const Sample& sample : tick.samples)
      undescribed += described_.contains(sample.series) ? 0U : 1U;
    ticks.push_back(std::move(tick));
  }
  void commit(std::uint64_t generation, storage::LedgerRows changed, bool history, OnReport done) override {
    commits.push_back({generation, std::move(changed), history, std::move(done)});
  }
  void retention(const storage::RetentionPolicy&) override {}

  // Ends the oldest commit.
  void answer(bool works) {
    const Commit commit = std::move(commits.front());
    commits.pop_front();
    storage::Report report;
    report.generation = commit.generation;
    report.ledger_committed = works;
    report.history_attempted = commit.history;
    report.history_failed = commit.history && !works;
    report.history_committed = works && commit.history;
    if (!works) report.error = "no space left";
    expired_.insert(commit.changed.expired.begin(), commit.changed.expired.end());
    for (const std::string& key : works ? std::exchange(expired_, {}) : std::set<std::string>()) {
      totals_.erase(key);
      meters_.erase(key);
    }
    for (const auto& row : commit.changed.totals) {
      if (works) totals_[row.key] = row.millionths;
    }
    for (const auto& row : commit.changed.meters) {
      if (works) meters_[row.key] = row;
    }
    for (const auto& row : commit.changed.states) {
      if (works) states_[row.key] = row.text;
    }
    if (commit.done) commit.done(report);
  }

  [[nodiscard]] std::int64_t total(const std::string& key) const { return totals_.at(key); }
  // The committed rows, as a ledger returns them when it is opened again.
  [[nodiscard]] storage::LedgerRows rows() const {
    storage::LedgerRows rows;
    for (const auto& [key, millionths] : totals_)
      rows.totals.push_back({key, millionths});
    for (const auto& [key, row] : meters_)
      rows.meters.push_back(row);
    for (const auto& [key, text] : states_)
      rows.states.push_back({key, text});
    return rows;
  }

  std::deque<Commit> commits;
  std::vector<storage::Tick> ticks;
  std::map<storage::GroupId, storage::GroupDescription> groups;
  std::uint64_t undescribed = 0;
  std::size_t forgotten = 0;  // series

 private:
  std::map<SeriesId, storage::SeriesDescription> described_;
  std::set<std::string> expired_;  // of commits that failed
  std::map<std::string, std::int64_t> totals_;
  std::map<std::string, storage::MeterRow> meters_;
  std::map<std::string, std::string> states_;
};

}  // namespace perjoule
