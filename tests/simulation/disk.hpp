// A simulated disk: committed data survives a kill, the rest is lost; commits take time and may fail.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "storage/sink.hpp"
#include "tests/fakes/virtual_clock.hpp"

namespace perjoule::simulation {

struct Disk {
  std::map<std::string, std::int64_t> totals;
  std::map<std::string, storage::MeterRow> meters;
  std::map<std::string, double> newest;  // series -> last value in history
  std::uint64_t stored_samples = 0;
  bool full = false;

  [[nodiscard]] storage::LedgerRows load() const {
    storage::LedgerRows rows;
    for (const auto& [key, value] : totals)
      rows.totals.push_back({key, value});
    for (const auto& [key, row] : meters)
      rows.meters.push_back(row);
    return rows;
  }
};

class DiskSink : public storage::Sink {
 public:
  static constexpr std::size_t queue_max = 200;

  DiskSink(Disk& disk, fakes::VirtualClock& clock, std::function<std::int64_t()> latency)
      : disk_(disk), clock_(clock), latency_(std::move(latency)) {}
  ~DiskSink() override { *alive_ = false; }
  DiskSink(const DiskSink&) = delete;
  DiskSink& operator=(const DiskSink&) = delete;

  void describe(storage::SeriesDescription series) override {
    names_[series.id] = series.metric + '{' + series.labels + '}';
  }
  void describe(storage::GroupDescription) override {}
  void forget(std::vector<SeriesId>) override {}
  void forget(storage::GroupId) override {}
  void push(storage::Tick tick) override {
    pushed += tick.samples.size();
    if (queue_.size() == queue_max) {
      dropped += queue_.front().samples.size();
      queue_.erase(queue_.begin());
    }
    queue_.push_back(std::move(tick));
  }
  void commit(std::uint64_t generation, storage::LedgerRows changed, bool history, OnReport done) override {
    const std::size_t ticks = queue_.size();
    auto finish = [this, alive = alive_, generation, changed = std::move(changed), history, ticks,
                   done = std::move(done)] {
      if (!*alive) return;
      storage::Report report;
      report.generation = generation;
      report.ledger_committed = !disk_.full;
      if (report.ledger_committed) write(changed);
      report.history_attempted = history;
      report.history_committed = history && report.ledger_committed;
      report.history_failed = history && !report.history_committed;
      if (report.history_committed) report.appended_samples = flush(ticks);
      done(report);
    };
    clock_.at(clock_.now().steady_ns + latency_(), std::move(finish));
  }
  void retention(const storage::RetentionPolicy&) override {}

  [[nodiscard]] std::uint64_t waiting() const {
    std::uint64_t samples = 0;
    for (const storage::Tick& tick : queue_)
      samples += tick.samples.size();
    return samples;
  }
  std::uint64_t pushed = 0;
  std::uint64_t dropped = 0;
  std::uint64_t stored = 0;

 private:
  void write(const storage::LedgerRows& rows) {
    for (const storage::TotalRow& row : rows.totals)
      disk_.totals[row.key] = row.millionths;
    for (const storage::MeterRow& row : rows.meters)
      disk_.meters[row.key] = row;
  }
  // Ticks may have been dropped from the front since the commit was requested.
  std::uint64_t flush(std::size_t ticks) {
    std::uint64_t samples = 0;
    for (std::size_t i = 0; i < ticks && !queue_.empty(); ++i) {
      for (const Sample& sample : queue_.front().samples)
        disk_.newest[names_[sample.series]] = sample.value;
      samples += queue_.front().samples.size();
      queue_.erase(queue_.begin());
    }
    stored += samples;
    disk_.stored_samples += samples;
    return samples;
  }

  Disk& disk_;
  fakes::VirtualClock& clock_;
  std::function<std::int64_t()> latency_;
  std::map<SeriesId, std::string> names_;
  std::vector<storage::Tick> queue_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace perjoule::simulation
