#include "daemon/sampling/gpu_roster.hpp"

#include <doctest/doctest.h>

#include "collectors/gpu/metrics.hpp"
#include "daemon/efficiency/rows.hpp"
#include "tests/fakes/hand_lane.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

struct Daemon {
  explicit Daemon(const storage::LedgerRows& rows = {}, std::filesystem::path directory = {})
      : ledger(rows, "boot"), roster(ledger, recorder, sources, log, make_lane(), std::move(directory)) {}

  MakeLane make_lane() {
    return [this] {
      ++lanes;
      return std::make_unique<fakes::HandLane>(disk);
    };
  }
  void answer(const std::string& uuid, SourceState state) { sources.sampled("nvml", uuid, {state, "", "", 0, 0}, {}); }
  void see(std::initializer_list<const char*> uuids) {
    std::vector<Inventory::Seen> seen;
    for (const char* uuid : uuids)
      seen.push_back({std::string("0000:0") + uuid + ":00.0", uuid});
    roster.inventory()->place(seen);
  }
  void tick(double configured = 0) {
    config::Settings settings;
    if (configured > 0) settings.collectors["nvml"].options.set("expected", configured);
    now.steady_ns += second_ns;
    roster.tick(now, settings);
  }
  std::optional<double> shown(const Metric& metric) {
    return latest.value(*recorder.series().identify(metric, ""), now.steady_ns);
  }

  const std::shared_ptr<fakes::HandLane::Call> disk = std::make_shared<fakes::HandLane::Call>();
  int lanes = 0;
  Stamp now{1'000 * second_ns, 1'795'424'400'000};
  Latest latest;
  Ledger ledger;
  Recorder recorder{latest, ledger, nullptr, make_rows(ledger)};
  Sources sources{recorder.series(), latest, {}};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};
  GpuRoster roster;
};

}  // namespace

TEST_CASE("a host without GPUs shows no counts; a host with GPUs shows those that answer and those expected") {
  Daemon daemon;
  daemon.tick();
  CHECK_FALSE(daemon.shown(gpus));
  daemon.see({"1", "2", "3"});
  daemon.answer("1", SourceState::ok);
  daemon.answer("2", SourceState::ok);
  daemon.answer("3", SourceState::stuck);
  daemon.sources.sampled("cpu", "package-0", {}, {});
  daemon.tick();
  CHECK(daemon.shown(gpus) == 2);
  CHECK(daemon.shown(gpus_expected) == 3);
  daemon.tick(5);
  CHECK(daemon.shown(gpus_expected) == 5);
  daemon.tick(2);
  CHECK(daemon.shown(gpus_expected) == 3);
  daemon.answer("1", SourceState::error);
  daemon.answer("2", SourceState::absent);
  daemon.tick();
  CHECK(daemon.shown(gpus) == 0);
  CHECK(daemon.shown(gpus_expected) == 3);
}

TEST_CASE("a configured number is shown even if no GPU was ever found") {
  Daemon daemon;
  daemon.tick(8);
  CHECK(daemon.shown(gpus) == 0);
  CHECK(daemon.shown(gpus_expected) == 8);
}

TEST_CASE("the inventory is saved in the ledger when it changes, and read at the start") {
  Daemon first;
  first.tick();
  CHECK(first.ledger.take_changed().states.empty());
  first.see({"1", "2"});
  first.tick();
  const storage::LedgerRows rows = first.ledger.take_changed();
  REQUIRE(rows.states.size() == 1);
  CHECK(rows.states[0].key == "inventory/gpus");
  first.tick();
  CHECK(first.ledger.take_changed().states.empty());

  Daemon second(rows);
  second.tick();
  CHECK(second.shown(gpus) == 0);
  CHECK(second.shown(gpus_expected) == 2);
  CHECK(second.roster.inventory()->boards() == first.roster.inventory()->boards());
}

TEST_CASE("a request to accept the inventory is executed once, after every source has settled") {
  const Tree tree;
  tree.write("accept-inventory", "");
  Daemon daemon({}, tree.root());
  daemon.disk->finish();
  daemon.see({"1", "2", "3"});
  daemon.sources.expect("nvml", "1");
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 3);
  daemon.answer("1", SourceState::ok);
  daemon.answer("3", SourceState::error);
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 1);
  daemon.disk->finish();
  CHECK_FALSE(std::filesystem::exists(tree.at("accept-inventory")));
  CHECK(daemon.ledger.take_changed().states.size() == 1);

  daemon.see({"2"});
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);
  tree.write("accept-inventory", "");
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);  // a reload checks for a request
  daemon.roster.look_for_request();
  daemon.disk->finish();
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 1);
}

TEST_CASE("a disk that hangs delays a request and nothing else; it is executed once, and a later one is not lost") {
  const Tree tree;
  tree.write("accept-inventory", "");
  Daemon daemon({}, tree.root());
  daemon.see({"1", "2"});
  daemon.answer("1", SourceState::ok);
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);
  daemon.roster.look_for_request();
  daemon.roster.look_for_request();
  CHECK(daemon.lanes == 1);
  daemon.disk->finish();  // the first look, which is repeated
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);
  CHECK(daemon.lanes == 2);
  daemon.disk->finish();
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 1);
  daemon.see({"3"});
  daemon.roster.look_for_request();  // while the request is being removed
  daemon.tick();
  daemon.disk->finish();
  CHECK(daemon.lanes == 4);
  daemon.disk->finish();
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);
  CHECK_FALSE(daemon.disk->busy);
}

TEST_CASE("without a thread the request stays for the next reload; without storage there is nothing to look for") {
  const Tree tree;
  tree.write("accept-inventory", "");
  Daemon daemon({}, tree.root());
  daemon.disk->finish();
  daemon.disk->no_thread = true;
  daemon.see({"1", "2"});
  daemon.answer("1", SourceState::ok);
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 1);
  daemon.disk->no_thread = false;
  daemon.roster.look_for_request();
  daemon.disk->finish();
  CHECK_FALSE(std::filesystem::exists(tree.at("accept-inventory")));
  daemon.see({"3"});
  daemon.tick();
  CHECK(daemon.shown(gpus_expected) == 2);
  Daemon without;
  without.roster.look_for_request();
  CHECK(without.lanes == 0);
}
