// Discovery on virtual time: devices that hang, fail or come back when they are looked for or identified.
#include "tests/unit/daemon/sampling/scripted_source.hpp"

using namespace perjoule;
using namespace perjoule::scripted;

TEST_CASE_FIXTURE(Fixture, "a device that is gone is absent, and discovery runs again each minute") {
  begin();
  run(10);
  played.errors["a"] = Error{Fault::absent, "gone"};
  played.devices.clear();
  run(1);
  run(1);
  CHECK(status("a").state == SourceState::absent);
  CHECK(status("a").faults == 0);
  CHECK_FALSE(shown("a"));
  const std::size_t calls = played.calls["a"].size();
  run(40);
  CHECK(played.calls["a"].size() == calls);
  CHECK(played.discoveries.size() == 1);
  run(10);
  CHECK(played.discoveries.size() == 2);
  CHECK(status("").state == SourceState::absent);
  CHECK(listed("a"));  // its counters go on when it comes back
  played.devices = {"a"};
  played.errors.clear();
  run(57);
  CHECK(played.discoveries.size() == 2);
  run(4);
  CHECK(played.discoveries.size() == 3);
  CHECK(status("a").state == SourceState::ok);
  CHECK_FALSE(listed(""));
}

TEST_CASE_FIXTURE(Fixture, "discovery: absent, denied, empty, hanging") {
  SUBCASE("an error of make sets the source's state, and make is called again each minute") {
    played.discovery_error = Error{Fault::denied, "EACCES", "setcap"};
    played.while_discovering = [this] { clock.stall(3 * milli_ns); };
    begin();
    run(30);
    CHECK(status("").state == SourceState::denied);
    CHECK(status("").remedy == "setcap");
    CHECK(status("").duration_seconds.value_or(-1) == 0.003);
    CHECK(sources.settled());
    played.discovery_error.reset();
    run(32);
    CHECK(status("a").state == SourceState::ok);
    CHECK_FALSE(listed(""));
  }
  SUBCASE("no device and no error is absent too, so that readiness does not wait for it") {
    played.devices.clear();
    begin();
    run(2);
    CHECK(status("").state == SourceState::absent);
    CHECK(sources.settled());
  }
  SUBCASE("a discovery that hangs is stuck at its deadline, and its devices are used when it returns") {
    played.discovery_ns = 100 * second_ns;
    begin();
    run(4);
    CHECK_FALSE(sources.settled());
    run(1);
    CHECK(status("").state == SourceState::stuck);
    CHECK_FALSE(status("").duration_seconds);
    CHECK(sources.settled());
    run(90);
    CHECK(played.discoveries.size() == 1);
    run(8);
    CHECK(status("a").state == SourceState::ok);
    CHECK_FALSE(listed(""));
  }
  SUBCASE("a later discovery that hangs and then fails does not change the state of watched devices") {
    begin();
    run(30);
    played.discovery_ns = 20 * second_ns;
    played.discovery_error = Error{Fault::transient, "EIO"};
    run(40);
    CHECK(status("").state == SourceState::stuck);
    run(20);
    CHECK_FALSE(listed(""));
    CHECK(status("a").state == SourceState::ok);
  }
}

TEST_CASE_FIXTURE(Fixture, "a broken discovery is repeated after the back-off, not after a minute") {
  played.discovery_error = Error{Fault::broken, "no driver"};
  begin();
  run(60);
  CHECK(played.discoveries.size() == 4);  // at 0, 5, 15 and 35 s
  CHECK(status("").state == SourceState::error);
  played.discovery_error.reset();
  run(20);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "discovery of a source with slot numbers gets the watched devices and the inventory") {
  played.devices = {"a", "b"};
  begin_known();
  run(61);
  REQUIRE(played.watched.size() == 2);
  CHECK(played.watched[0].empty());
  CHECK(played.watched[1] == std::vector<std::string>{"a", "b"});
  CHECK(played.inventory.use_count() > 1);
}

TEST_CASE_FIXTURE(Fixture, "devices are identified on their own lanes: one that hangs is stuck and delays no other") {
  played.asks = true;
  played.devices = {"place 0", "place 1", "B"};
  played.names = {{"place 0", "A"}, {"place 1", "C"}};
  played.durations["B"] = 30 * second_ns + 500 * milli_ns;
  begin_known();
  run(1);
  played.durations.clear();
  CHECK(status("B").state == SourceState::stuck);
  CHECK(status("B").what == "its first call has not returned within 900 ms");
  run(2);
  CHECK(sources.settled());
  CHECK(shown("A") == 2.0);
  CHECK(shown("C") == 2.0);
  CHECK_FALSE(listed("place 0"));
  run(20);
  CHECK(played.identified.size() == 3);
  CHECK(status("B").missed == 22);
  run(11);
  CHECK(status("B").state == SourceState::ok);
  CHECK(shown("B") == 3.0);
}

TEST_CASE_FIXTURE(Fixture, "a device that is missing from the bus is looked for every few seconds") {
  played.asks = true;
  played.devices = {"A", "B"};
  begin_known();
  run(10);
  played.inventory->on_bus("scripted", {"0", "1"});
  played.devices = {"A"};
  played.errors["B"] = Error{Fault::absent, "gone"};
  run(200);
  played.devices = {"A", "B"};
  played.errors.clear();
  run(10);
  CHECK(shown("B"));
  const std::size_t discoveries = played.discoveries.size();
  run(50);
  CHECK(played.discoveries.size() == discoveries);
}

TEST_CASE_FIXTURE(Fixture, "a place without a GPU leaves no status, but a GPU that is expected does") {
  played.asks = true;
  played.devices = {"A", "B", "place 2"};
  played.errors["B"] = played.errors["place 2"] = Error{Fault::broken, "lost"};
  begin_known();
  run(1);
  const Inventory::Seen board{"0000:2a:00.0", "B"};
  played.inventory->place(std::span(&board, 1));
  CHECK(status("place 2").state == SourceState::error);
  played.devices = {"A"};
  run(70);
  CHECK_FALSE(listed("place 2"));
  CHECK(status("B").state == SourceState::error);
  CHECK(status("A").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "a place that turns out to hold a watched device gives no second probe") {
  played.asks = true;
  played.devices = {"A"};
  begin_known();
  run(10);
  played.devices = {"A", "place 1"};
  played.names = {{"place 1", "A"}};
  run(60);
  CHECK_FALSE(listed("place 1"));
  CHECK(status("A").state == SourceState::ok);
  CHECK(ticks("A") == 69);
}

TEST_CASE_FIXTURE(Fixture, "a discovery that hangs: the devices that wait for it are stuck, and the call is named") {
  played.asks = true;
  played.devices = {"A", "B"};
  played.call = {"nvmlInit", {"A", "B"}};
  played.discovery_ns = 100 * second_ns;
  begin_known();
  run(6);
  CHECK(sources.settled());
  CHECK_FALSE(listed(""));
  CHECK(status("A").state == SourceState::stuck);
  CHECK(status("B").what == "nvmlInit has not returned within 5 s");
  played.devices = {"A"};
  run(97);
  CHECK(status("A").state == SourceState::ok);
  CHECK(status("B").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "without a thread nothing is stuck: it is an error that is tried again") {
  SUBCASE("of discovery") {
    played.no_thread = true;
    begin();
    run(4);
    CHECK(status("").state == SourceState::error);
    CHECK(status("").remedy.find("TasksMax") != std::string::npos);
  }
  SUBCASE("of a probe") {
    begin();
    clock.run_until(start.steady_ns + 10 * milli_ns);
    played.no_thread = true;
    run(4);
    CHECK(status("a").state == SourceState::error);
    CHECK(status("a").faults == 4);
  }
  played.no_thread = false;
  run(10);
  CHECK(status("a").state == SourceState::ok);
}

TEST_CASE_FIXTURE(Fixture, "the next discovery finds new devices and does not disturb old ones") {
  begin();
  run(10);
  played.devices = {"a", "b"};
  run(60);
  CHECK(status("b").state == SourceState::ok);
  CHECK(ticks("a") == 69);
}

TEST_CASE_FIXTURE(Fixture, "stop while a discovery hangs") {
  played.discovery_ns = 100 * second_ns;
  begin();
  run(10);
  sampler->stop("scripted");
  run(200);
  CHECK(sources.list().empty());
  CHECK(played.discoveries.size() == 1);
}
