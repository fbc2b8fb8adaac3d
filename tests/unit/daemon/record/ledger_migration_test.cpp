#include "daemon/record/ledger_migration.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <string>

#include "daemon/record/ledger.hpp"

using namespace perjoule;

namespace {

using Totals = std::map<std::string, std::int64_t>;

Totals totals(const storage::LedgerRows& rows) {
  Totals totals;
  for (const storage::TotalRow& row : rows.totals)
    totals[row.key] += row.millionths;
  return totals;
}

storage::MeterRow meter(std::string key, std::string boot, std::uint64_t raw, std::int64_t wall_ms) {
  return {std::move(key), std::move(boot), raw, 0, wall_ms, 0};
}

}  // namespace

TEST_CASE("migration: the slot of a GPU and the role of a sensor leave the key, and their totals are added") {
  storage::LedgerRows rows;
  rows.totals = {{R"(gpu{gpu="0",uuid="GPU-a"})", 100},
                 {R"(gpu{gpu="3",uuid="GPU-a"})", 7},
                 {R"(sensor{chip="c",sensor="pin",role="psu_in"})", 20},
                 {R"(sensor{chip="c",sensor="pin",role="other"})", 1},
                 {R"(by{device="GPU-a",source="counter"})", 107},
                 {R"(plain{package="0"})", 5},
                 {R"(work{workload="a\"b",kind="steps"})", 6}};
  rows.meters = {meter(rows.totals[0].key, "boot", 900, 2000), meter(rows.totals[1].key, "boot", 40, 1000)};
  CHECK(migrate(rows, "boot", {}).empty());
  CHECK(totals(rows) == Totals{{R"(gpu{uuid="GPU-a"})", 107},
                               {R"(sensor{chip="c",sensor="pin"})", 21},
                               {R"(by{device="GPU-a",source="counter"})", 107},
                               {R"(plain{package="0"})", 5},
                               {R"(work{workload="a\"b",kind="steps"})", 6}});
  REQUIRE(rows.meters.size() == 1);
  CHECK(rows.meters[0].raw == 900);  // read last
  CHECK(rows.expired.size() == 4);
  REQUIRE(rows.states.size() == 1);
  CHECK(rows.states[0].key == node_sensors_state);
  CHECK(rows.states[0].text == "sensor{chip=\"c\",sensor=\"pin\"}\n");
  const storage::LedgerRows once = rows;
  rows.expired.clear();
  CHECK(migrate(rows, "boot", {}).empty());
  CHECK(totals(rows) == totals(once));
  CHECK(rows.expired.empty());
}

TEST_CASE("migration: mirrored dies are one socket with the largest total; those of Cascade Lake-AP stay") {
  const auto migrated = [](bool share) {
    storage::LedgerRows rows;
    for (int die = 0; die < 8; ++die) {
      rows.totals.push_back({fmt::format(R"(package{{package="1-die-{}",source="rapl"}})", die), 1000 + die});
      rows.totals.push_back({fmt::format(R"(by{{device="package-1-die-{}",source="counter"}})", die), 1000 + die});
    }
    HostNames host;
    host.dies_share_a_counter = share;
    CHECK(migrate(rows, "boot", host).empty());
    return rows;
  };
  CHECK(totals(migrated(true)) ==
        Totals{{R"(package{package="1",source="rapl"})", 1007}, {R"(by{device="package-1",source="counter"})", 1007}});
  CHECK(migrated(true).expired.size() == 16);
  CHECK(migrated(false).totals.size() == 16);
  CHECK(migrated(false).expired.empty());
}

TEST_CASE("migration: a chip with another name goes on if it was read in this boot, else its total is kept aside") {
  const auto migrated = [](const std::string& boot, std::size_t lines) {
    storage::LedgerRows rows;
    rows.totals = {{R"(sensor{chip="corsairpsu-0003:1B1C:1C0B.0008",sensor="power total",role="psu_in"})", 50},
                   {R"(by{device="corsairpsu-0003:1B1C:1C0B.0008/power total",source="integrated"})", 50},
                   {R"(unobserved{device="corsairpsu-0003:1B1C:1C0B.0008/power total"})", 3}};
    rows.meters = {meter(rows.totals[0].key, "boot", 0, 1000)};
    const auto said =
        migrate(rows, boot, {{{"corsairpsu-0003:1B1C:1C0B.0008", "corsairpsu-usb-0000:00:14.0-5:1.0"}}, false});
    CHECK(said.size() == lines);
    return totals(rows);
  };
  CHECK(migrated("boot", 1) ==
        Totals{{R"(sensor{chip="corsairpsu-usb-0000:00:14.0-5:1.0",sensor="power total"})", 50},
               {R"(by{device="corsairpsu-usb-0000:00:14.0-5:1.0/power total",source="integrated"})", 50},
               {R"(unobserved{device="corsairpsu-usb-0000:00:14.0-5:1.0/power total"})", 3}});
  CHECK(migrated("next boot", 1) ==
        Totals{{R"(sensor{chip="corsairpsu-0003:1B1C:1C0B.0008",sensor="power total"})", 50},
               {R"(by{device="corsairpsu-0003:1B1C:1C0B.0008/power total",source="integrated"})", 50},
               {R"(unobserved{device="corsairpsu-0003:1B1C:1C0B.0008/power total"})", 3}});
}

TEST_CASE("migration: a total that is kept aside is named once, not at each start") {
  storage::LedgerRows rows;
  rows.totals = {{R"(sensor{chip="old.0008",sensor="in"})", 50}, {R"(sensor{chip="usb-5",sensor="in"})", 9}};
  rows.meters = {meter(rows.totals[0].key, "boot", 0, 1000)};
  const HostNames host{{{"old.0008", "usb-5"}}, false};
  CHECK(migrate(rows, "next boot", host).size() == 1);
  rows.meters.push_back(meter(rows.totals[1].key, "next boot", 0, 2000));
  CHECK(migrate(rows, "next boot", host).empty());
  CHECK(totals(rows).size() == 2);
}

TEST_CASE("migration: the first commit deletes the old keys and writes the new ones") {
  storage::LedgerRows rows;
  rows.totals = {{R"(gpu{gpu="0",uuid="GPU-a"})", 100}, {R"(plain{package="0"})", 5}};
  rows.meters = {meter(rows.totals[0].key, "boot", 900, 2000)};
  CHECK(migrate(rows, "boot", {}).empty());
  Ledger ledger(rows, "boot");
  const storage::LedgerRows first = ledger.take_changed();
  CHECK(first.expired == std::vector<std::string>{R"(gpu{gpu="0",uuid="GPU-a"})"});
  CHECK(totals(first) == Totals{{R"(gpu{uuid="GPU-a"})", 100}, {R"(plain{package="0"})", 5}});
  REQUIRE(first.meters.size() == 1);
  CHECK(first.meters[0].raw == 900);
  CHECK(ledger.take_changed().totals.empty());
}
