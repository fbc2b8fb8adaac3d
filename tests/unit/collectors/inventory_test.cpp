#include "collectors/inventory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

using namespace perjoule;

namespace {

using Seen = std::vector<Inventory::Seen>;
using Slots = std::vector<unsigned>;

Seen eight() {
  Seen seen;
  for (const char* bus : {"ba", "18", "db", "2a", "9a", "3a", "ab", "5d"})
    seen.push_back({std::string("0000:") + bus + ":00.0", std::string("GPU-") + bus});
  return seen;
}

}  // namespace

TEST_CASE("slots follow PCI order, in whatever order the boards are seen first") {
  Inventory inventory;
  CHECK(inventory.place(eight()) == Slots{6, 0, 7, 1, 4, 2, 5, 3});
  CHECK(inventory.expected() == 8);
  Seen some = eight();
  some.erase(some.begin() + 1);  // slot 0 is dead
  CHECK(inventory.place(some) == Slots{6, 7, 1, 4, 2, 5, 3});
  CHECK(inventory.expected() == 8);
}

TEST_CASE("a board keeps its slot when it moves; a replacement at the same address takes the slot") {
  Inventory inventory;
  inventory.place(eight());
  CHECK(inventory.place(Seen{{"0000:2a:00.0", "GPU-new"}}) == Slots{1});
  CHECK(inventory.uuid_at("0000:2a:00.0") == "GPU-new");
  CHECK(inventory.place(Seen{{"0000:ff:00.0", "GPU-18"}}) == Slots{0});
  CHECK(inventory.uuid_at("0000:18:00.0").empty());
  // Two boards that swapped their addresses.
  CHECK(inventory.place(Seen{{"0000:9a:00.0", "GPU-ba"}, {"0000:ba:00.0", "GPU-9a"}}) == Slots{6, 4});
  CHECK(inventory.uuid_at("0000:9a:00.0") == "GPU-ba");
  CHECK(inventory.boards().size() == 8);
  // A board at a new address takes the next number.
  CHECK(inventory.place(Seen{{"0000:01:00.0", "GPU-ninth"}}) == Slots{8});
  CHECK(inventory.expected() == 9);
}

TEST_CASE("a board that has never answered keeps the number of its address until it does") {
  Inventory inventory;
  CHECK(inventory.place(Seen{{"0000:18:00.0", "GPU-a"}, {"0000:2a:00.0", ""}, {"0000:3a:00.0", "GPU-c"}}) ==
        Slots{0, 1, 2});
  CHECK(inventory.place(Seen{{"0000:2a:00.0", "GPU-b"}}) == Slots{1});
  CHECK(inventory.place(Seen{{"0000:2a:00.0", ""}}) == Slots{1});
  CHECK(inventory.uuid_at("0000:2a:00.0") == "GPU-b");
}

TEST_CASE("a known board that answers at a new place keeps its number, and the place loses the one it had") {
  Inventory inventory;
  inventory.place(eight());
  inventory.on_bus("nvml", {"0000:ff:00.0"});
  CHECK(inventory.place(Seen{{"0000:ff:00.0", ""}}) == Slots{8});
  CHECK(inventory.place(Seen{{"0000:ff:00.0", "GPU-18"}}) == Slots{0});
  CHECK(inventory.boards().size() == 8);
  CHECK(inventory.expected() == 8);
  CHECK(inventory.place(Seen{{"0000:fe:00.0", "GPU-new"}}) == Slots{8});
}

TEST_CASE(
    "boards that answer in any order get the numbers of their indices; a number that is taken is not given twice") {
  Inventory inventory;
  CHECK(inventory.place(Seen{{"0000:3a:00.0", "GPU-c", 2}}) == Slots{2});
  CHECK(inventory.place(Seen{{"0000:18:00.0", "GPU-a", 0}}) == Slots{0});
  CHECK(inventory.place(Seen{{"0000:2a:00.0", "GPU-b", 1}}) == Slots{1});
  CHECK(inventory.place(Seen{{"0000:01:00.0", "GPU-d", 0}}) == Slots{3});
  CHECK(inventory.place(Seen{{"", "GPU-e", 999}}) == Slots{4});
  CHECK(inventory.expected() == 5);
}

TEST_CASE("expected is the most that were seen, by a driver or on the bus; only accept() lowers it") {
  Inventory inventory;
  inventory.on_bus("nvml", {"0000:18:00.0", "0000:2a:00.0"});
  inventory.on_bus("amdgpu", {"0000:41:00.0"});
  CHECK(inventory.expected() == 3);
  inventory.on_bus("nvml", {});
  CHECK(inventory.expected() == 3);
  inventory.place(eight());
  CHECK(inventory.expected() == 8);
  // Two answer; a third is on the bus and does not.
  inventory.on_bus("amdgpu", {});
  inventory.on_bus("nvml", {"0000:db:00.0", "0000:18:00.0"});
  inventory.accept([](const Inventory::Board& board) { return board.uuid == "GPU-18" || board.uuid == "GPU-5d"; });
  CHECK(inventory.expected() == 2);
  const auto kept = inventory.boards();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0] == Inventory::Board{0, "0000:18:00.0", "GPU-18"});
  CHECK(kept[1] == Inventory::Board{3, "0000:5d:00.0", "GPU-5d"});
  CHECK(inventory.place(Seen{{"0000:01:00.0", "GPU-fresh"}}) == Slots{1});  // the lowest free number
}

TEST_CASE("a board on the bus that does not answer is not expected after accept(), until it answers") {
  Inventory inventory;
  inventory.on_bus("nvml", {"0000:18:00.0", "0000:2a:00.0"});
  inventory.place(Seen{{"0000:18:00.0", "GPU-18"}});
  inventory.place(Seen{{"0000:2a:00.0", ""}});
  CHECK(inventory.expected() == 2);
  CHECK_FALSE(inventory.is_unexpected("0000:2a:00.0", {}));
  inventory.accept([](const Inventory::Board& board) { return board.uuid == "GPU-18"; });
  Inventory restored;
  CHECK(restored.load(inventory.text()));
  for (Inventory* one : {&inventory, &restored}) {
    one->on_bus("nvml", {"0000:18:00.0", "0000:2a:00.0"});
    one->place(Seen{{"0000:2a:00.0", ""}});
    CHECK(one->expected() == 1);
    CHECK(one->boards().size() == 1);
    CHECK(one->is_unexpected("0000:2a:00.0", {}));
    one->place(Seen{{"0000:2a:00.0", "GPU-2a"}});
    CHECK(one->expected() == 2);
    CHECK_FALSE(one->is_unexpected("0000:2a:00.0", {}));
  }
}

TEST_CASE("where a number is configured and so many have answered, the other places of the bus are not expected") {
  Inventory inventory;
  inventory.on_bus("nvml", {"0000:18:00.0", "0000:2a:00.0"});
  inventory.place(Seen{{"0000:2a:00.0", ""}});
  CHECK_FALSE(inventory.is_unexpected("0000:2a:00.0", 1));  // none has answered yet
  inventory.place(Seen{{"0000:18:00.0", "GPU-18"}});
  CHECK(inventory.is_unexpected("0000:2a:00.0", 1));
  CHECK_FALSE(inventory.is_unexpected("0000:18:00.0", 1));
  CHECK_FALSE(inventory.is_unexpected("0000:2a:00.0", 2));
}

TEST_CASE("what text() stores is loaded again, and hostile input neither crashes nor duplicates a slot") {
  Inventory inventory;
  inventory.place(eight());
  inventory.place(Seen{{"0000:f0:00.0", ""}});
  inventory.on_bus("nvml", std::vector<std::string>(9, "0000:f0:00.0"));
  Inventory restored;
  const std::uint64_t version = restored.version();
  CHECK(restored.load(inventory.text()));
  CHECK(restored.version() > version);
  CHECK(restored.text() == inventory.text());
  CHECK(restored.boards() == inventory.boards());
  CHECK(restored.expected() == 9);

  CHECK(restored.load(""));
  CHECK(restored.expected() == 0);
  for (const char* bad : {"expected\n", "expected -1\n", "x 0000:18:00.0 GPU-a\n", "0 0000:18:00.0\n", "0 a b\n0 c d\n",
                          "0 a b c\n", "99999999999 a b\n", "expected 1e9\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(restored.load(bad));
  }
  std::mt19937_64 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (std::size_t i = random() % 120; i > 0; --i)
      text += "0123456789 -:expctd\nGPU"[random() % 23];
    restored.load(text);
    std::set<unsigned> slots;
    for (const auto& board : restored.boards())
      CHECK(slots.insert(board.slot).second);
    restored.place(eight());
  }
}

TEST_CASE("in any sequence of changes a board that answers keeps its slot and no two share one") {
  std::mt19937_64 random(20261124);
  for (int round = 0; round < 200; ++round) {
    Inventory inventory;
    std::map<std::string, unsigned> slot_of;
    for (int look = 0; look < 20; ++look) {
      Seen seen;
      std::set<std::string> places, uuids;
      for (int i = 0; i < 6; ++i) {
        const std::string place = "p" + std::to_string(random() % 8), uuid = "u" + std::to_string(random() % 8);
        if (places.insert(place).second && uuids.insert(uuid).second) seen.push_back({place, uuid});
      }
      const Slots slots = inventory.place(seen);
      REQUIRE(std::set<unsigned>(slots.begin(), slots.end()).size() == seen.size());
      std::map<std::string, unsigned> now;
      for (const auto& board : inventory.boards())
        if (!board.uuid.empty()) now[board.uuid] = board.slot;
      for (std::size_t i = 0; i < seen.size(); ++i) {
        CHECK(now.at(seen[i].uuid) == slots[i]);
        // Its number may change only if another board had taken its address, and so its number.
        if (slot_of.contains(seen[i].uuid)) CHECK(slot_of.at(seen[i].uuid) == slots[i]);
      }
      slot_of = now;
    }
  }
}
