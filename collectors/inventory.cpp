#include "collectors/inventory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace perjoule {

namespace {

constexpr std::size_t boards_max = 256;

std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<unsigned> number(std::string_view word) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::string_view or_dash(std::string_view word) {
  return word.empty() ? "-" : word;
}

std::string without_dash(std::string_view word) {
  return word == "-" ? std::string() : std::string(word);
}

using Seen = Inventory::Seen;
using Board = Inventory::Board;
using Found = std::vector<std::optional<std::size_t>>;  // for each Seen, its index among the known boards

// By UUID first, because a board that moved to another address is still the same board.
Found recognize(std::span<const Seen> seen, std::span<const Board> boards) {
  Found found(seen.size());
  std::vector<bool> taken(boards.size(), false);
  const auto match = [&](auto same) {
    for (std::size_t i = 0; i < seen.size(); ++i) {
      for (std::size_t j = 0; j < boards.size() && !found[i]; ++j) {
        if (taken[j] || !same(seen[i], boards[j])) continue;
        found[i] = j;
        taken[j] = true;
      }
    }
  };
  match([](const Seen& one, const Board& board) { return !one.uuid.empty() && one.uuid == board.uuid; });
  match([](const Seen& one, const Board& board) { return !one.address.empty() && one.address == board.address; });
  return found;
}

void renew(std::vector<Board>& boards, std::size_t index, const Seen& seen) {
  if (!seen.uuid.empty()) boards[index].uuid = seen.uuid;
  if (seen.address.empty() || seen.address == boards[index].address) return;
  // It moved: the board that was at this address before is no longer there.
  for (Board& other : boards) {
    if (other.address == seen.address) other.address.clear();
  }
  boards[index].address = seen.address;
}

// Adds a new board and returns its slot: the one it should get, else the lowest that is free.
unsigned move_in(std::vector<Board>& boards, const Seen& seen) {
  const auto taken = [&](unsigned slot) {
    return std::any_of(boards.begin(), boards.end(), [&](const Board& board) { return board.slot == slot; });
  };
  unsigned slot = 0;
  while (taken(slot))
    ++slot;
  if (seen.slot && *seen.slot < boards_max && !taken(*seen.slot)) slot = *seen.slot;
  if (boards.size() >= boards_max) return slot;
  const auto before = [](const Board& board, unsigned number) { return board.slot < number; };
  boards.insert(std::lower_bound(boards.begin(), boards.end(), slot, before), {slot, seen.address, seen.uuid});
  return slot;
}

}  // namespace

std::vector<unsigned> Inventory::place(std::span<const Seen> seen) {
  const std::lock_guard lock(mutex_);
  const std::vector<Board> before = boards_;
  for (const Seen& one : seen) {
    if (!one.uuid.empty() && unexpected_.erase(one.address) > 0) ++version_;
  }
  const Found found = recognize(seen, boards_);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (found[i]) renew(boards_, *found[i], seen[i]);
  }
  std::vector<unsigned> slots(seen.size(), 0);
  std::vector<std::size_t> fresh;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (found[i]) slots[i] = boards_[*found[i]].slot;
    if (!found[i]) fresh.push_back(i);
  }
  std::sort(fresh.begin(), fresh.end(),
            [&](std::size_t a, std::size_t b) { return seen[a].address < seen[b].address; });
  for (const std::size_t i : fresh) {
    if (!unexpected_.contains(seen[i].address)) slots[i] = move_in(boards_, seen[i]);
  }
  std::erase_if(boards_, [](const Board& board) { return board.address.empty() && board.uuid.empty(); });
  if (boards_ != before) ++version_;
  grow();
  return slots;
}

std::string Inventory::uuid_at(std::string_view address) const {
  const std::lock_guard lock(mutex_);
  for (const Board& board : boards_) {
    if (board.address == address) return board.uuid;
  }
  return {};
}

void Inventory::on_bus(std::string_view source, std::vector<std::string> addresses) {
  const std::lock_guard lock(mutex_);
  bus_.insert_or_assign(std::string(source), std::move(addresses));
  grow();
}

std::size_t Inventory::bus_count() const {
  std::size_t count = 0;
  for (const auto& [source, addresses] : bus_) {
    count +=
        static_cast<std::size_t>(std::count_if(addresses.begin(), addresses.end(), [this](const std::string& address) {
          return !unexpected_.contains(address);
        }));
  }
  return count;
}

// A place on the bus whose board has not answered yet may turn out to hold a board that is known from another place.
std::size_t Inventory::answered_count() const {
  return static_cast<std::size_t>(
      std::count_if(boards_.begin(), boards_.end(), [](const Board& board) { return !board.uuid.empty(); }));
}

void Inventory::grow() {
  const std::size_t most = std::max(answered_count(), bus_count());
  if (most <= expected_) return;
  expected_ = most;
  ++version_;
}

std::size_t Inventory::expected() const {
  const std::lock_guard lock(mutex_);
  return expected_;
}

void Inventory::accept(const std::function<bool(const Board&)>& answers) {
  const std::lock_guard lock(mutex_);
  std::erase_if(boards_, [&](const Board& board) { return !answers(board); });
  const auto is_accepted = [this](const std::string& address) {
    return std::any_of(boards_.begin(), boards_.end(), [&](const Board& board) { return board.address == address; });
  };
  unexpected_.clear();
  for (const auto& [source, addresses] : bus_) {
    for (const std::string& address : addresses) {
      if (!is_accepted(address) && unexpected_.size() < boards_max) unexpected_.insert(address);
    }
  }
  expected_ = answered_count();
  ++version_;
}

bool Inventory::is_unexpected(std::string_view address, std::optional<std::size_t> configured) const {
  const std::lock_guard lock(mutex_);
  if (unexpected_.contains(address)) return true;
  if (!configured || answered_count() < *configured) return false;
  return std::none_of(boards_.begin(), boards_.end(),
                      [&](const Board& board) { return board.address == address && !board.uuid.empty(); });
}

std::vector<Inventory::Board> Inventory::boards() const {
  const std::lock_guard lock(mutex_);
  return boards_;
}

std::uint64_t Inventory::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

std::string Inventory::text() const {
  const std::lock_guard lock(mutex_);
  std::string text = fmt::format("expected {}\n", expected_);
  for (const Board& board : boards_)
    text += fmt::format("{} {} {}\n", board.slot, or_dash(board.address), or_dash(board.uuid));
  for (const std::string& address : unexpected_)
    text += fmt::format("unexpected {}\n", address);
  return text;
}

bool Inventory::load(std::string_view text) {
  std::vector<Board> boards;
  std::set<std::string, std::less<>> unexpected;
  std::size_t expected = 0;
  bool good = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::string_view first = take_word(line);
    const std::string_view second = take_word(line);
    const std::string_view third = take_word(line);
    if (first == "unexpected" && !second.empty() && third.empty() && unexpected.size() < boards_max) {
      unexpected.emplace(second);
      continue;
    }
    const auto slot = number(first == "expected" ? second : first);
    const bool twice = std::any_of(boards.begin(), boards.end(), [&](const Board& b) { return b.slot == slot; });
    const bool is_number = slot && line.empty() && *slot < 2 * boards_max;
    const bool is_board = is_number && !second.empty() && !third.empty() && !twice && boards.size() < boards_max;
    if (is_number && first == "expected") {
      expected = *slot;
    } else if (is_board) {
      boards.push_back({*slot, without_dash(second), without_dash(third)});
    } else {
      good = false;
    }
  }
  std::sort(boards.begin(), boards.end(), [](const Board& a, const Board& b) { return a.slot < b.slot; });
  const std::lock_guard lock(mutex_);
  boards_ = std::move(boards);
  unexpected_ = std::move(unexpected);
  expected_ = std::max(expected, answered_count());
  ++version_;
  return good;
}

}  // namespace perjoule
