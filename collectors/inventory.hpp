// Which GPU has which number. Slots follow PCI order at first sight and are kept (the daemon stores `text`): a board
// keeps its number when another one dies, and a board that replaces one in its place takes that number.
//
// Thread-safe: looks place boards on their lanes, the loop reads and stores.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule {

class Inventory {
 public:
  struct Seen {
    std::string address;  // PCI, as the kernel writes it; "" where it is not known
    std::string uuid;     // "" when the board does not answer: its number is kept by its address
  };
  struct Board {
    unsigned slot = 0;
    std::string address;
    std::string uuid;
    friend bool operator==(const Board&, const Board&) = default;
  };

  // The slot of each of the boards that one look saw, in the same order: by UUID, else by address, else the lowest free
  // numbers in the order of addresses. At most 256 boards are kept.
  std::vector<unsigned> place(std::span<const Seen> seen);
  // The UUID that last answered at an address; "" when none did.
  [[nodiscard]] std::string uuid_at(std::string_view address) const;
  // What a source finds on the bus now, whether a driver answers or not.
  void on_bus(std::string_view source, std::vector<std::string> addresses);

  // The most boards that were ever seen together, since the last accept().
  [[nodiscard]] std::size_t expected() const;
  // What is there now is what is expected: boards that neither answer nor stand on the bus lose their numbers.
  void accept(const std::function<bool(const Board&)>& answers);

  [[nodiscard]] std::vector<Board> boards() const;
  // Grows with each change of what text() gives.
  [[nodiscard]] std::uint64_t version() const;
  // "expected 8", then a line "SLOT ADDRESS UUID" per board ("-" for what is not known).
  [[nodiscard]] std::string text() const;
  // Replaces everything. A line that it does not understand is left out, and false returned.
  bool load(std::string_view text);

 private:
  [[nodiscard]] std::size_t bus_count() const;
  [[nodiscard]] bool stands_on_bus(const std::string& address) const;
  void grow();

  mutable std::mutex mutex_;
  std::vector<Board> boards_;  // by slot, ascending
  std::map<std::string, std::vector<std::string>, std::less<>> bus_;
  std::size_t expected_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace perjoule
