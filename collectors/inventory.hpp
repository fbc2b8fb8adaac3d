// Which GPU has which number (the label `gpu`). Slots are assigned in PCI order when boards are first seen, and are
// kept over restarts (the daemon stores `text()` in the ledger). A board keeps its number when another one dies, and a
// replacement at the same PCI address takes the number of the board it replaces.
//
// Thread-safe: discovery calls place(), on_bus() and uuid_at() on a thread of its own (daemon/base/lane.hpp); the loop
// loads, accepts and stores.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule {

class Inventory {
 public:
  struct Seen {
    std::string address;  // PCI, as the kernel writes it; "" where it is not known
    std::string uuid;     // "" when the board does not answer: it is then recognised by its address
    // The number that a new board should get if it is free. Where no address is known beforehand, boards answer in any
    // order; the driver's index then keeps their numbers in PCI order.
    std::optional<unsigned> slot = {};
  };
  struct Board {
    unsigned slot = 0;
    std::string address;
    std::string uuid;
    friend bool operator==(const Board&, const Board&) = default;
  };

  // The slots of boards, in the same order. A board is recognised by its UUID, else by its address; new boards get the
  // lowest free numbers in the order of their addresses. A board that never answered and whose address another one has
  // taken is forgotten. At most 256 boards are kept.
  std::vector<unsigned> place(std::span<const Seen> seen);
  // The UUID of the board that last answered at `address`; "" when none did.
  [[nodiscard]] std::string uuid_at(std::string_view address) const;
  // Replaces the addresses that `source` finds on the bus, whether a driver answers or not.
  void on_bus(std::string_view source, std::vector<std::string> addresses);

  // The largest number of boards that have answered or were on the bus at once since the last accept().
  [[nodiscard]] std::size_t expected() const;
  // Accepts the boards that answer as the expected ones. All others lose their numbers; those on the bus are other
  // people's (a container that may use two of eight) and are not expected, until one answers.
  void accept(const std::function<bool(const Board&)>& answers);
  // Whether the board at this place of the bus is not expected: since accept(), or because `configured` boards have
  // answered before, and none at this place.
  [[nodiscard]] bool is_unexpected(std::string_view address, std::optional<std::size_t> configured) const;

  [[nodiscard]] std::vector<Board> boards() const;
  // Increases with each change of text().
  [[nodiscard]] std::uint64_t version() const;
  // "expected 8", then a line "SLOT ADDRESS UUID" per board ("-" for what is not known), then "unexpected ADDRESS" per
  // place of the bus that is not expected.
  [[nodiscard]] std::string text() const;
  // Replaces everything with what text() wrote. Malformed lines are skipped, and false is returned.
  bool load(std::string_view text);

 private:
  [[nodiscard]] std::size_t bus_count() const;
  [[nodiscard]] std::size_t answered_count() const;
  void grow();

  mutable std::mutex mutex_;
  std::vector<Board> boards_;  // by slot, ascending
  std::map<std::string, std::vector<std::string>, std::less<>> bus_;
  std::set<std::string, std::less<>> unexpected_;  // addresses
  std::size_t expected_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace perjoule
