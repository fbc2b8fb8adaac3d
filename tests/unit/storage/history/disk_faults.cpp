#include "tests/unit/storage/history/disk_faults.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "storage/writer.hpp"

namespace perjoule::storage {

namespace {

using fakes::Disk;
using fakes::DiskFault;

constexpr int commits_of_an_outage = 6;
constexpr int commits_to_recover = 4;
constexpr std::uint64_t one_in = 25;

void arm(Disk& disk, std::uint64_t number, Outage outage, DiskFault fault) {
  switch (outage) {
    case Outage::single:
      return disk.fail(number, fault);
    case Outage::lasting:
      return disk.fail_from(number, fault);
    case Outage::random:
      return disk.fail_randomly(number, one_in, fault);
  }
}

// Records the operation that fails first.
class First {
 public:
  First(Disk& disk, std::uint64_t number) {
    disk.watch([this, number](std::uint64_t at, fakes::Operation operation, const std::string& path) {
      if (at != number) return;
      const bool wal = path.ends_with("-wal");
      const char* file = wal ? "wal" : path.ends_with("-journal") ? "journal" : "database";
      what_ = fmt::format("{} {}", fakes::name(operation), file);
    });
  }
  [[nodiscard]] const std::string& what() const { return what_; }

 private:
  std::string what_;
};

std::string title(const Script& script, std::uint64_t number, Outage outage, DiskFault fault, const std::string& what) {
  return fmt::format("seed {}, {} {} {} ({}): ", script.shape().seed, name(outage),
                     fault == DiskFault::full ? "ENOSPC" : "EIO", number, what);
}

// All frames acknowledged: what the store must have after the disk has recovered.
Course whole(const Script& script, std::int64_t oldest_ms) {
  Course course;
  course.frames.assign(script.frames().size(), FrameState::acknowledged);
  course.frames[script.spare()] = FrameState::unseen;
  course.oldest_ms = oldest_ms;
  return course;
}

void count(const Disk& disk, Outage outage, const std::string& first, DiskFaults& out) {
  out.failed += disk.failed();
  if (disk.failed() == 0) {
    ++out.without;
  } else {
    ++out.runs[outage == Outage::random ? "random" : first];
  }
}

// A stand-in of the daemon's loop: runs the functions that the writer posts.
class Mailbox {
 public:
  Writer::Post post() {
    return [this](std::function<void()> function) {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(function));
      arrived_.notify_all();
    };
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !posted_.empty(); });
    auto function = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    function();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
};

// Pushes ticks and commits like a daemon, on a simulated disk.
class Daemon {
 public:
  Daemon(const Script& script, Disk& disk, DiskFaults& out)
      : script_(script), disk_(disk), out_(out), writer_(files(), nullptr, {}, {}, mailbox_.post()) {
    writer_.retention({.raw_ms = script.shape().keep_ms});
  }

  void play() {
    for (std::size_t n = 0; n < script_.spare(); ++n) {
      const Frame& frame = script_.frames()[n];
      for (const auto& series : frame.series)
        writer_.describe(series);
      for (const auto& group : frame.groups)
        writer_.describe(group);
      for (const auto& tick : frame.ticks)
        writer_.push(tick);
      if (commit()) {
        refused_ = 0;
      } else if (++refused_ == commits_of_an_outage) {
        disk_.heal();
      } else {
        ++out_.retries;
      }
    }
    disk_.heal();
    int more = 0;
    while (!commit() && more < commits_to_recover)
      ++more;
    if (more == commits_to_recover) problems_.push_back("commits fail after the disk recovered: " + report_.error);
    if (dropped_ > 0) problems_.push_back(fmt::format("{} samples were dropped", dropped_));
    auto rows = LedgerFile::load_read_only(disk_ / "ledger.db");
    if (!rows) {
      problems_.push_back(rows.error().what);
    } else if (rows->totals.size() != 1 || rows->totals[0].millionths != total_) {
      problems_.emplace_back("the ledger's total is not the last committed one");
    }
  }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  WriterFiles files() {
    return files_in(
        disk_.path(), [] { return std::int64_t{1795515072000}; }, [this](const std::string& note) { note_ = note; });
  }
  bool commit() {
    LedgerRows rows;
    rows.totals.push_back({"total", ++total_});
    writer_.commit(++generation_, std::move(rows), true, [this](Report report) { report_ = std::move(report); });
    mailbox_.run_one();
    dropped_ += report_.dropped_samples;
    // The note that no space could be reserved for the ledger is expected on a disk that was full.
    if (note_.find(".kept-") != std::string::npos) problems_.push_back(std::exchange(note_, {}));
    return report_.history_committed;
  }

  const Script& script_;
  Disk& disk_;
  DiskFaults& out_;
  std::vector<std::string> problems_;
  std::string note_;  // set by the writer's thread before it posts
  Report report_;
  std::int64_t total_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t dropped_ = 0;
  int refused_ = 0;
  Mailbox mailbox_;
  Writer writer_;  // declared last, because its thread uses the other members
};

}  // namespace

const char* name(Outage outage) {
  switch (outage) {
    case Outage::single:
      return "single";
    case Outage::lasting:
      return "lasting";
    case Outage::random:
      return "random";
  }
  return "unknown";
}

void play_with_fault(const Script& script, std::uint64_t number, Outage outage, DiskFault fault, DiskFaults& out) {
  Disk disk;
  const First first(disk, number);
  arm(disk, number, outage, fault);
  Player player(script, disk);
  player.play();
  disk.heal();
  count(disk, outage, first.what(), out);
  out.retries += player.retries();
  out.reopened += player.reopened();
  const std::string where = title(script, number, outage, fault, first.what());
  for (const auto& problem : player.problems())
    out.problems.push_back(where + problem);
  const std::string problem = examine(script, disk, whole(script, player.course().oldest_ms));
  if (!problem.empty()) out.problems.push_back(where + problem);
}

void write_with_fault(const Script& script, std::uint64_t number, Outage outage, DiskFault fault, DiskFaults& out) {
  Disk disk;
  const First first(disk, number);
  arm(disk, number, outage, fault);
  std::vector<std::string> problems;
  {
    Daemon daemon(script, disk, out);
    daemon.play();
    problems = daemon.problems();
  }
  disk.heal();
  count(disk, outage, first.what(), out);
  const std::string where = "writer, " + title(script, number, outage, fault, first.what());
  for (const auto& problem : problems)
    out.problems.push_back(where + problem);
  const std::int64_t newest_ms = script.last_ms(script.spare() - 1);
  const std::string problem = examine(script, disk, whole(script, newest_ms - script.shape().keep_ms));
  if (!problem.empty()) out.problems.push_back(where + problem);
}

std::uint64_t operations_of_writer(const Script& script) {
  Disk disk;
  DiskFaults out;
  Daemon daemon(script, disk, out);
  daemon.play();
  return disk.operations();
}

}  // namespace perjoule::storage
