#include "storage/range_coder.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace perjoule::storage {

namespace {

constexpr unsigned odds_bits = 12;
constexpr unsigned odds_shift = 4;
constexpr std::uint32_t range_least = std::uint32_t{1} << 24U;
constexpr unsigned tree_levels = 5;
constexpr unsigned widths = 1U << tree_levels;
constexpr unsigned wide = widths - 1;  // of 31 bits or more: the width follows in 7 bits
constexpr unsigned below_levels = 2;
constexpr unsigned contexts = 24;  // widths of the value before, the large ones together
constexpr unsigned context_of_all = 1;

using Odds = std::uint16_t;

struct Model {
  std::array<std::array<Odds, widths>, contexts> width{};
  std::array<std::array<Odds, 1U << below_levels>, 65> below{};  // the two bits below the leading one, by width

  Model() {
    for (auto& tree : width)
      tree.fill(Odds{1} << (odds_bits - 1));
    for (auto& tree : below)
      tree.fill(Odds{1} << (odds_bits - 1));
  }
};

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void bit(Odds& odds, bool one) {
    const std::uint32_t bound = (range_ >> odds_bits) * odds;
    if (one) {
      low_ += bound;
      range_ -= bound;
      odds = static_cast<Odds>(odds - (odds >> odds_shift));
    } else {
      range_ = bound;
      odds = static_cast<Odds>(odds + (((1U << odds_bits) - odds) >> odds_shift));
    }
    while (range_ < range_least)
      shift();
  }
  void raw(std::uint64_t value, unsigned count) {
    while (count-- > 0) {
      range_ >>= 1U;
      if ((value >> count & 1U) != 0) low_ += range_;
      while (range_ < range_least)
        shift();
    }
  }
  void finish() {
    for (int byte = 0; byte < 5; ++byte)
      shift();
  }

 private:
  void shift() {
    range_ <<= 8U;
    if (low_ < 0xff000000U || low_ > 0xffffffffU) {
      const auto carry = static_cast<unsigned char>(low_ >> 32U);
      // The first byte is always 0 and not written.
      if (started_) out_.push_back(static_cast<char>(static_cast<unsigned char>(cache_ + carry)));
      for (; pending_ > 0; --pending_)
        out_.push_back(static_cast<char>(static_cast<unsigned char>(0xff + carry)));
      cache_ = static_cast<unsigned char>(low_ >> 24U);
      started_ = true;
    } else {
      ++pending_;
    }
    low_ = (low_ & 0x00ffffffU) << 8U;
  }
  std::string& out_;
  std::uint64_t low_ = 0;
  std::uint32_t range_ = 0xffffffff;
  unsigned char cache_ = 0;
  std::uint64_t pending_ = 0;
  bool started_ = false;
};

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {
    for (int byte = 0; byte < 4; ++byte)
      code_ = code_ << 8U | next();
  }
  bool bit(Odds& odds) {
    const std::uint32_t bound = (range_ >> odds_bits) * odds;
    const bool one = code_ >= bound;
    if (one) {
      code_ -= bound;
      range_ -= bound;
      odds = static_cast<Odds>(odds - (odds >> odds_shift));
    } else {
      range_ = bound;
      odds = static_cast<Odds>(odds + (((1U << odds_bits) - odds) >> odds_shift));
    }
    normalize();
    return one;
  }
  std::uint64_t raw(unsigned count) {
    std::uint64_t value = 0;
    while (count-- > 0) {
      range_ >>= 1U;
      const bool one = code_ >= range_;
      if (one) code_ -= range_;
      value = value << 1U | (one ? 1U : 0U);
      normalize();
    }
    return value;
  }
  [[nodiscard]] bool overrun() const { return lent_ > 4; }

 private:
  void normalize() {
    while (range_ < range_least) {
      range_ <<= 8U;
      code_ = code_ << 8U | next();
    }
  }
  std::uint32_t next() {
    if (at_ < bytes_.size()) return static_cast<unsigned char>(bytes_[at_++]);
    ++lent_;
    return 0;
  }
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t lent_ = 0;
  std::uint32_t range_ = 0xffffffff;
  std::uint32_t code_ = 0;
};

// The `levels` low bits of `bits`, highest first: a path from the root of a tree of odds.
void put_path(Encoder& encoder, std::span<Odds> tree, std::uint64_t bits, unsigned levels) {
  std::size_t node = 1;
  while (levels > 0) {
    --levels;
    const bool one = (bits >> levels & 1U) != 0;
    encoder.bit(tree[node], one);
    node = node << 1U | (one ? 1U : 0U);
  }
}

// The bits of the path with a one before them.
std::size_t get_path(Decoder& decoder, std::span<Odds> tree, unsigned levels) {
  std::size_t node = 1;
  for (; levels > 0; --levels)
    node = node << 1U | (decoder.bit(tree[node]) ? 1U : 0U);
  return node;
}

}  // namespace

void range_encode(std::string& out, std::span<const std::uint64_t> values) {
  Model model;
  Encoder encoder(out);
  unsigned context = context_of_all;
  for (const std::uint64_t value : values) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned symbol = std::min(width, wide);
    put_path(encoder, model.width[context], symbol, tree_levels);
    if (symbol == wide) encoder.raw(width, 7);
    const unsigned left = width > 0 ? width - 1 : 0;
    const unsigned modelled = std::min(left, below_levels);
    put_path(encoder, model.below[width], value >> (left - modelled), modelled);
    encoder.raw(value, left - modelled);
    context = std::min(width, contexts - 1);
  }
  encoder.finish();
}

bool range_decode(std::string_view bytes, std::span<std::uint64_t> values) {
  Model model;
  Decoder decoder(bytes);
  unsigned context = context_of_all;
  for (std::uint64_t& value : values) {
    auto width = static_cast<unsigned>(get_path(decoder, model.width[context], tree_levels) - widths);
    if (width == wide) width = static_cast<unsigned>(decoder.raw(7));
    if (width > 64 || decoder.overrun()) return false;
    const unsigned left = width > 0 ? width - 1 : 0;
    const unsigned modelled = std::min(left, below_levels);
    const std::uint64_t top = get_path(decoder, model.below[width], modelled);
    const unsigned rest = left - modelled;
    value = width == 0 ? 0 : rest == 0 ? top : top << rest | decoder.raw(rest);
    context = std::min(width, contexts - 1);
  }
  return true;
}

}  // namespace perjoule::storage
