// long_history year|week|wide|churn [--days=N] [--minutes=N] [--budget_mib=N] [--series=N]: a history that grows as it
// would in a daemon, but in simulated time. Prints its figures. Exit 1: a limit was violated.
//
//   year   500 series a minute for 365 days, on a disk in memory
//   week   126 series a second for 7 days, on the disk that build/ lies on
//   wide   100,000 series a second for 35 minutes, on the same
//   churn  300,000 series that come and go, a thousand at a time, on a disk in memory (tests/soak/churn.hpp)
//
// Year and week exceed their size limits, so the oldest data expires all the time. At the end the limit is halved.
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tests/fakes/disk.hpp"
#include "tests/soak/arguments.hpp"
#include "tests/soak/churn.hpp"
#include "tests/soak/inquiry.hpp"
#include "tests/soak/keeper.hpp"
#include "tests/soak/past.hpp"

namespace {

using namespace perjoule;

constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr std::int64_t commit_ms = 5000;
constexpr int shrinking_commits_max = 2000;

struct Run {
  std::string name;
  Past::Plan plan;
  Policy policy;
  std::int64_t span_ms = 0;
  std::int64_t ask_every_ms = 0;  // interval of queries; 0: only at the end
  std::int64_t tell_every_ms = 0;
  bool fills = false;  // the data exceeds the size limit
};

// A temporary directory on the disk of the build.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::current_path() / "long_history-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) give_up("cannot create " + pattern);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string percent(std::int64_t part, std::int64_t whole) {
  return fmt::format("{:.0f}%",
                     100 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(whole, 1)));
}

std::string shares_of(const Keeper& keeper) {
  const Keeper::Shares shares = keeper.shares();
  return fmt::format("raw {} minutes {} hours {} of {:.1f} MiB used, file {:.1f} MiB", percent(shares.raw, shares.used),
                     percent(shares.minute, shares.used), percent(shares.hour, shares.used), mib(shares.used),
                     mib(shares.file));
}

// The next frame, as the daemon's writer would pass it to the store.
storage::Frame next_frame(Past& past) {
  storage::Frame frame;
  const std::int64_t ticks = std::max<std::int64_t>(commit_ms / past.plan().period_ms, 1);
  for (std::int64_t tick = 0; tick < ticks; ++tick)
    past.tick(frame);
  return frame;
}

// Half of the used space belongs to raw samples; the log and the reserve for a sealing are not part of it.
void check_shares(const Keeper& keeper, Verdict& verdict) {
  const Keeper::Shares shares = keeper.shares();
  Verdict::say(fmt::format("  raw samples hold {} of what is in use, {} of the budget",
                           percent(shares.raw, shares.used), percent(shares.raw, keeper.policy().bytes_max)));
  verdict.expect(shares.raw >= shares.used * 45 / 100, "raw samples hold less than half");
}

void check_counts(Keeper& keeper, const Past& past, Verdict& verdict) {
  const Keeper::Counts counts = keeper.counts();
  const std::int64_t sum = counts.kept + counts.expired + counts.refused;
  Verdict::say(fmt::format("  {} samples: {} kept, {} expired, {} refused", past.samples(), counts.kept, counts.expired,
                           counts.refused));
  verdict.expect(sum == static_cast<std::int64_t>(past.samples()),
                 fmt::format("{} samples are missing", static_cast<std::int64_t>(past.samples()) - sum));
}

// Halves the size limit: the file must shrink a few pages at a time while samples are appended.
void shrink(Keeper& keeper, Past& past, Verdict& verdict) {
  const std::int64_t half = keeper.policy().bytes_max / 2;
  const std::int64_t before = keeper.bytes();
  const std::size_t first = keeper.commits_cpu_ms.count();
  keeper.shrink_to(half);
  std::int64_t steepest = 0;
  std::int64_t last = before;
  int commits = 0;
  while (keeper.bytes() > half && commits < shrinking_commits_max) {
    keeper.commit(next_frame(past));
    steepest = std::max(steepest, last - keeper.bytes());
    last = keeper.bytes();
    ++commits;
  }
  verdict.expect(last <= half, fmt::format("after {} commits {:.1f} MiB are used, the limit is {:.1f}", commits,
                                           mib(last), mib(half)));
  keeper.settled();
  for (int commit = 0; commit < 400; ++commit)
    keeper.commit(next_frame(past));
  Spread longest;
  for (std::size_t n = first; n < keeper.commits_wall_ms.count(); ++n)
    longest.add(keeper.commits_wall_ms.median(n, n + 1));
  Verdict::say(
      fmt::format("  half the budget: {:.1f} MiB, then {:.1f} after {} commits, at most {:.1f} MiB in one of "
                  "them; the longest took {:.0f} ms; {}",
                  mib(before), mib(keeper.bytes()), commits, mib(steepest), longest.worst(), shares_of(keeper)));
}

void tell(const Run& run, const Keeper& keeper, const Past& past) {
  const std::int64_t passed_ms = past.now_ms() - run.plan.start_ms;
  const std::size_t count = keeper.commits_cpu_ms.count();
  Verdict::say(
      fmt::format("{} {:.1f} h: {:.1f} MiB on the disk, tail {} rows, {} sealing calls behind, commit median "
                  "{:.2f} ms, RSS {:.0f} MiB; {}",
                  run.name, static_cast<double>(passed_ms) / static_cast<double>(hour_ms), mib(keeper.bytes()),
                  keeper.size().tail_rows, keeper.seal_waits() ? "some" : "no",
                  keeper.commits_cpu_ms.median(count - std::min<std::size_t>(count, 500)), status_mib("VmRSS:"),
                  shares_of(keeper)));
}

void conclude(const Run& run, const Keeper& keeper, const Past& past) {
  const double spent_ms = keeper.append_cpu_ms + keeper.seal_cpu_ms + keeper.retain_cpu_ms + keeper.size_cpu_ms;
  const double simulated_s = static_cast<double>(past.now_ms() - run.plan.start_ms) / 1e3;
  const auto per_sample = [&](double ms) { return ms * 1e3 / static_cast<double>(past.samples()); };
  Verdict::say(fmt::format(
      "{}: {} samples in {:.1f} simulated hours; {:.5f} CPU seconds per simulated second; {:.3f} us a sample (append "
      "{:.3f}, seal {:.3f}, retain {:.3f}, size {:.3f}); commit median {:.2f} ms, longest {:.0f} ms of CPU, {:.0f} ms "
      "in "
      "all; peak {:.1f} MiB of {:.1f} on the disk; tail at most {} rows; at most {} commits in a row left sealing "
      "undone; RSS at most {:.0f} MiB",
      run.name, past.samples(), simulated_s / 3600, spent_ms / 1e3 / simulated_s, per_sample(spent_ms),
      per_sample(keeper.append_cpu_ms), per_sample(keeper.seal_cpu_ms), per_sample(keeper.retain_cpu_ms),
      per_sample(keeper.size_cpu_ms), keeper.commits_cpu_ms.median(), keeper.commits_cpu_ms.worst(),
      keeper.commits_wall_ms.worst(), mib(keeper.bytes_peak()), mib(run.policy.bytes_max), keeper.tail_rows_peak(),
      keeper.waited_most(), status_mib("VmHWM:")));
}

void grow(const Run& run, const std::filesystem::path& path, const std::function<std::int64_t()>& bytes,
          Verdict& verdict) {
  Past past(run.plan);
  Keeper keeper(path, run.policy, verdict, bytes);
  Inquiry inquiry(path, past, verdict);
  Verdict::say(fmt::format("{}: RSS {:.0f} MiB before the store is opened", run.name, status_mib("VmRSS:")));
  keeper.open(run.plan.start_ms);
  keeper.commit(past.descriptions());
  std::int64_t ask_ms = run.plan.start_ms + 2 * hour_ms;
  std::int64_t tell_ms = run.plan.start_ms + run.tell_every_ms;
  while (past.now_ms() < run.plan.start_ms + run.span_ms) {
    keeper.commit(next_frame(past));
    if (run.ask_every_ms > 0 && past.now_ms() >= ask_ms) {
      inquiry.round();
      ask_ms += run.ask_every_ms;
    }
    if (past.now_ms() < tell_ms) continue;
    tell(run, keeper, past);
    tell_ms += run.tell_every_ms;
  }
  inquiry.round();
  if (run.fills) {
    verdict.expect(keeper.has_been_full(), "the budget held it all");
    check_shares(keeper, verdict);
  }
  check_counts(keeper, past, verdict);
  conclude(run, keeper, past);
  const double cores = (keeper.append_cpu_ms + keeper.seal_cpu_ms + keeper.retain_cpu_ms + keeper.size_cpu_ms) /
                       static_cast<double>(run.span_ms);
  verdict.expect(cores < 1, "a core does not keep up");
  if (run.fills) {
    shrink(keeper, past, verdict);
    inquiry.round();
    check_counts(keeper, past, verdict);
  }
  if (run.ask_every_ms > 0) inquiry.conclude();
  keeper.close();
  const std::string integrity = keeper.integrity();
  verdict.expect(integrity == "ok", "integrity_check: " + integrity);
  Verdict::say(fmt::format("  integrity {}; {} points and buckets compared", integrity, inquiry.compared()));
}

Run year(std::int64_t days, std::int64_t budget_mib) {
  Run run{"year", {500, bench::telemetry_start_ms, 60'000, 360}, {}, days * day_ms, 5 * day_ms, 10 * day_ms, true};
  run.policy = {400 * day_ms, 800 * day_ms, 0, budget_mib << 20};
  return run;
}

Run week(std::int64_t days, std::int64_t budget_mib) {
  Run run{"week", {126, bench::telemetry_start_ms, 1000, 3600}, {}, days * day_ms, 6 * hour_ms, 6 * hour_ms, true};
  run.policy = {30 * day_ms, 400 * day_ms, 0, budget_mib << 20};
  return run;
}

Run wide(std::size_t series, std::int64_t minutes, std::int64_t budget_mib) {
  Run run{"wide", {series, bench::telemetry_start_ms, 1000}, {}, minutes * 60'000, 0, 60'000, false};
  run.policy = {7 * day_ms, 90 * day_ms, 0, budget_mib << 20};
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const auto number = [&](std::string_view name, std::uint64_t fallback) {
    return static_cast<std::int64_t>(argument(argc, argv, name, fallback));
  };
  Verdict verdict;
  const auto begin = std::chrono::steady_clock::now();
  if (mode == "year") {
    fakes::Disk disk;
    grow(
        year(number("--days=", 365), number("--budget_mib=", 512)), disk / "history.db", [&] { return disk.bytes(); },
        verdict);
    Verdict::say(fmt::format("  the disk held at most {:.1f} MiB, at any moment", mib(disk.bytes_peak())));
  } else if (mode == "week") {
    const Folder folder;
    grow(week(number("--days=", 7), number("--budget_mib=", 16)), folder.path() / "history.db", {}, verdict);
  } else if (mode == "wide") {
    const Folder folder;
    const std::size_t series = argument(argc, argv, "--series=", 100'000);
    grow(wide(series, number("--minutes=", 35), number("--budget_mib=", 4096)), folder.path() / "history.db", {},
         verdict);
  } else if (mode == "churn") {
    churn(number("--series=", 300'000), number("--restart_hours=", 6), verdict);
  } else {
    fmt::print(stderr, "long_history year|week|wide|churn\n");
    return 2;
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  Verdict::say(fmt::format("{}: {} violations, {:.0f} s", mode, verdict.count(), taken.count()));
  return verdict.count() == 0 ? 0 : 1;
}
