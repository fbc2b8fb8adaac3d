#include "daemon/sampling/gpu_roster.hpp"

#include <doctest/doctest.h>

#include "collectors/gpu/metrics.hpp"
#include "daemon/efficiency/rows.hpp"
#include "daemon/record/metrics.hpp"
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
  // perjoule_gpu_lost of a board of see().
  std::optional<double> lost(const std::string& slot, const std::string& uuid) {
    const auto id = recorder.series().identify(gpu_lost, label_values({slot, uuid, "0000:0" + uuid + ":00.0"}));
    return latest.value(*id, now.steady_ns);
  }
  void pass(int seconds) {
    for (; seconds > 0; --seconds)
      tick();
  }

  Stamp now{1'000 * second_ns, 1'795'424'400'000};
  Latest latest;
  Ledger ledger;
  Recorder recorder{latest, ledger, nullptr, make_rows(ledger)};
  Sources sources{recorder, {}};
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
  CHECK(daemon.shown(gpus_expected) == 2);  // the configuration prevails
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

TEST_CASE("a GPU is lost at once when its driver says so, else after 3 min without an answer") {
  Daemon daemon;
  daemon.see({"1", "2", "3"});
  for (const char* uuid : {"1", "2", "3"})
    daemon.answer(uuid, SourceState::ok);
  daemon.tick();
  CHECK(daemon.lost("0", "1") == 0);
  daemon.sources.sampled("nvml", "1", {SourceState::error, "GPU_IS_LOST", "", 0, 1, true}, {});
  daemon.answer("2", SourceState::error);
  daemon.tick();
  CHECK(daemon.lost("0", "1") == 1);
  CHECK(daemon.lost("1", "2") == 0);
  daemon.answer("1", SourceState::error);  // the driver says it once
  daemon.pass(178);
  CHECK(daemon.lost("0", "1") == 1);
  CHECK(daemon.lost("1", "2") == 0);
  daemon.pass(2);
  CHECK(daemon.lost("1", "2") == 1);
  CHECK(daemon.lost("2", "3") == 0);
  daemon.answer("1", SourceState::ok);
  daemon.answer("2", SourceState::ok);
  daemon.tick();
  CHECK(daemon.lost("0", "1") == 0);
  CHECK(daemon.lost("1", "2") == 0);
}

TEST_CASE("a reload of the driver that takes 2 min loses no GPU") {
  Daemon daemon;
  daemon.see({"1"});
  daemon.answer("1", SourceState::ok);
  daemon.tick();
  for (const SourceState state : {SourceState::error, SourceState::stuck, SourceState::absent, SourceState::ok}) {
    daemon.answer("1", state);
    daemon.pass(40);
    CHECK(daemon.lost("0", "1") == 0);
  }
}

TEST_CASE("after a start nothing is known about a GPU that does not answer, until 3 min have passed") {
  Daemon first;
  first.see({"1", "2"});
  first.tick();
  Daemon second(first.ledger.take_changed());
  second.answer("2", SourceState::ok);
  second.pass(179);
  CHECK_FALSE(second.lost("0", "1"));
  CHECK(second.lost("1", "2") == 0);
  second.pass(2);
  CHECK(second.lost("0", "1") == 1);
}

TEST_CASE("accept-inventory ends the loss of a board that was removed, and its series a minute later") {
  const Tree tree;
  Daemon daemon({}, tree.root());
  daemon.disk->finish();
  daemon.see({"1", "2"});
  daemon.answer("1", SourceState::ok);
  daemon.pass(181);
  CHECK(daemon.lost("1", "2") == 1);
  CHECK(daemon.shown(gpus_unseen) == 0);
  daemon.tick(5);
  CHECK(daemon.shown(gpus_unseen) == 3);  // expected by number, and not by name
  tree.write("accept-inventory", "");
  daemon.roster.look_for_request();
  daemon.disk->finish();
  daemon.tick();
  CHECK(daemon.lost("1", "2") == 0);
  CHECK(daemon.shown(gpus_unseen) == 0);
  daemon.pass(75);
  CHECK_FALSE(daemon.lost("1", "2"));
  CHECK(daemon.lost("0", "1") == 0);
}

TEST_CASE("series about a GPU's source have its slot and UUID; a board that never answered is found by its place") {
  Daemon daemon;
  daemon.see({"1", "2"});
  daemon.roster.inventory()->place(std::vector<Inventory::Seen>{{"0000:09:00.0", ""}});
  for (const char* device : {"2", "0000:09:00.0", "elsewhere", ""})
    daemon.answer(device, SourceState::stuck);
  daemon.sources.sampled("hwmon", "2", {}, {});
  const auto seen = [&daemon](std::initializer_list<std::string_view> values) {
    return daemon.latest.value(*daemon.recorder.series().identify(source_state, label_values(values)),
                               daemon.now.steady_ns);
  };
  CHECK(seen({"nvml", "2", "1", "2", "stuck"}) == 1);
  CHECK(seen({"nvml", "0000:09:00.0", "2", "", "stuck"}) == 1);
  CHECK(seen({"nvml", "elsewhere", "", "", "stuck"}) == 1);
  CHECK(seen({"nvml", "", "", "", "stuck"}) == 1);
  CHECK(seen({"hwmon", "2", "", "", "ok"}) == 1);
}
