#include "storage/codec/ans_coder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <vector>

#include "storage/codec/bits.hpp"
#include "storage/codec/varint.hpp"

namespace perjoule::storage {

namespace {

constexpr unsigned tokens_max = 252;  // values of 64 bits have the largest token, 251
constexpr unsigned log_min = 5;
constexpr unsigned log_max = 10;
constexpr unsigned log_bits = 4;
constexpr unsigned token_bits = 8;
constexpr unsigned parameter_bits = 2;
constexpr unsigned level_before_first = 12;
// A level is at most 123 (the token of 2^32 - 1), so with the largest parameter, 3, every quotient is below this.
constexpr unsigned quotient_max = 31;
constexpr std::size_t never = 1U << 20;  // cost in bits that excludes a parameter
constexpr unsigned wide = 32;            // more low bits than this are written in two parts: BitWriter takes 57
constexpr std::uint64_t wide_mask = 0xffffffff;

struct Token {
  unsigned number = 0;
  unsigned below = 0;  // low bits of the value that the token does not contain
};

Token token_of(std::uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value | 2));  // | 2: values below 4 need no branch
  const unsigned below = std::max(width, 3U) - 3;
  return {((width - 2) << 2U) + (static_cast<unsigned>(value >> below) & 3U), below};
}

// Token::below of a token's number.
unsigned below(unsigned token) {
  return token < 8 ? 0 : (token >> 2U) - 1;
}

// The leading bits of the value that the token contains.
unsigned top(unsigned token) {
  return token < 4 ? token : 4 | (token & 3U);
}

// How many of the 2^log states each token has.
struct Shares {
  unsigned log = 0;
  unsigned first = 0;
  unsigned tokens = 0;
  std::array<std::uint16_t, tokens_max> states{};  // index: token - first
};

// Computes `shares.states` from the levels: in proportion to the counts, at least one state for each token that occurs.
// False: the levels are invalid, or there are more tokens than states. Integers only, so that every decoder gets the
// same table.
bool share(Shares& shares, std::span<const std::uint8_t> levels) {
  std::array<std::uint32_t, tokens_max> weights{};
  std::uint64_t all = 0;
  for (unsigned n = 0; n < shares.tokens; ++n) {
    const unsigned rest = below(levels[n]);
    if (rest >= 32) return false;
    const std::uint64_t weight = (std::uint64_t{top(levels[n])} << rest) + (rest > 0 ? 1ULL << (rest - 1) : 0);
    if (weight > UINT32_MAX) return false;
    weights[n] = static_cast<std::uint32_t>(weight);
    all += weight;
  }
  if (all == 0) return false;
  const std::uint32_t size = 1U << shares.log;
  std::int64_t left = size;
  unsigned most = 0;
  for (unsigned n = 0; n < shares.tokens; ++n) {
    if (weights[n] == 0) continue;
    const std::uint64_t states = (std::uint64_t{weights[n]} * size + all / 2) / all;
    shares.states[n] = static_cast<std::uint16_t>(std::max<std::uint64_t>(states, 1));
    left -= shares.states[n];
    if (shares.states[n] > shares.states[most]) most = n;
  }
  // The sum must be 2^log. The most frequent token gains or loses the rounding error; if that is not enough, the tokens
  // with more than one state give some.
  const auto taken = std::max<std::int64_t>(left, 1 - std::int64_t{shares.states[most]});
  shares.states[most] = static_cast<std::uint16_t>(shares.states[most] + taken);
  left -= taken;
  for (unsigned n = 0; n < shares.tokens && left < 0; ++n) {
    const auto given = std::min<std::int64_t>(-left, std::int64_t{shares.states[n]} - 1);
    if (given <= 0) continue;
    shares.states[n] = static_cast<std::uint16_t>(shares.states[n] - given);
    left += given;
  }
  return left == 0;
}

// For each state, its token minus the first token of the table.
using SpreadTokens = std::array<std::uint8_t, 1U << log_max>;

// Distributes the states of each token over the whole table (RFC 8878, section 4.1.1).
SpreadTokens spread(const Shares& shares) {
  SpreadTokens tokens;
  const std::uint32_t size = 1U << shares.log;
  const std::uint32_t step = (size >> 1U) + (size >> 3U) + 3;
  std::uint32_t state = 0;
  for (unsigned n = 0; n < shares.tokens; ++n) {
    for (unsigned count = shares.states[n]; count > 0; --count) {
      tokens[state] = static_cast<std::uint8_t>(n);
      state = (state + step) & (size - 1);
    }
  }
  return tokens;
}

void put_levels(BitWriter& bits, std::span<const std::uint8_t> levels) {
  std::array<std::uint32_t, tokens_max> coded{};
  unsigned before = level_before_first;
  for (std::size_t n = 0; n < levels.size(); ++n) {
    coded[n] = static_cast<std::uint32_t>(zigzag(std::uint64_t{levels[n]} - before));
    before = levels[n];
  }
  const auto cost = [&](unsigned parameter) {
    return std::accumulate(coded.begin(), coded.begin() + static_cast<std::ptrdiff_t>(levels.size()), std::size_t{0},
                           [&](std::size_t sum, std::uint32_t code) {
                             const std::size_t quotient = code >> parameter;
                             return sum + parameter + (quotient < quotient_max ? quotient : never);
                           });
  };
  unsigned best = 0;
  for (unsigned parameter = 1; parameter < 1U << parameter_bits; ++parameter) {
    if (cost(parameter) < cost(best)) best = parameter;
  }
  bits.put(best, parameter_bits);
  for (std::size_t n = 0; n < levels.size(); ++n) {
    const unsigned quotient = coded[n] >> best;
    bits.put((std::uint64_t{1} << (quotient + 1)) - 2, quotient + 1);
    bits.put(coded[n] & ((1U << best) - 1), best);
  }
}

bool get_levels(BitReader& bits, std::span<std::uint8_t> levels) {
  const auto parameter = static_cast<unsigned>(bits.get(parameter_bits));
  std::uint64_t level = level_before_first;
  for (std::uint8_t& each : levels) {
    bits.fill();
    const std::uint64_t quotient = bits.ones(quotient_max);
    level += unzigzag(quotient << parameter | bits.get(parameter));
    if (level >= tokens_max) return false;
    each = static_cast<std::uint8_t>(level);
  }
  return !bits.overrun();
}

// Writes the table for these token counts, and returns its shares as the decoder will compute them.
Shares shares_of(std::size_t values, std::span<const std::uint32_t> counts, BitWriter& bits) {
  const auto comes = [](std::uint32_t count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), comes);
  const auto past = std::find_if(counts.rbegin(), counts.rend(), comes).base();
  const auto distinct = static_cast<std::size_t>(std::count_if(first, past, comes));
  Shares shares;
  shares.first = static_cast<unsigned>(first - counts.begin());
  shares.tokens = static_cast<unsigned>(past - first);
  const auto wanted = static_cast<unsigned>(std::bit_width(std::max(values / 4, distinct * 2)));
  shares.log = std::clamp(wanted, log_min, log_max);
  std::array<std::uint8_t, tokens_max> levels{};
  std::transform(first, past, levels.begin(),
                 [](std::uint32_t count) { return static_cast<std::uint8_t>(token_of(count).number); });
  const auto of_tokens = std::span<const std::uint8_t>(levels).first(shares.tokens);
  bits.put(shares.log, log_bits);
  bits.put(shares.first, token_bits);
  bits.put(shares.tokens - 1, token_bits);
  put_levels(bits, of_tokens);
  share(shares, of_tokens);
  return shares;
}

// The encoder's state transition for a token; the fields are deltaNbBits and deltaFindState of Y. Collet's
// FiniteStateEntropy. One addition gives the number of bits to write, another the index of the next state.
struct Way {
  std::uint32_t bits = 0;   // (state + bits) >> 16 is the number of bits to write
  std::uint32_t place = 0;  // (state >> number of bits) + place is the index of the next state in `Ways::states`
};

struct Ways {
  std::array<Way, tokens_max> of_token{};
  // The states of one token after the other, ascending within each, plus the size of the table.
  std::array<std::uint16_t, 1U << log_max> states{};

  explicit Ways(const Shares& shares) {
    std::array<std::uint16_t, tokens_max> next{};
    std::uint32_t begin = 0;
    for (unsigned n = 0; n < shares.tokens; ++n) {
      const std::uint32_t count = shares.states[n];
      next[n] = static_cast<std::uint16_t>(begin);
      if (count == 0) continue;
      const unsigned most = shares.log + 1 - static_cast<unsigned>(std::bit_width(count - 1));
      of_token[n] = {(most << 16U) - (count << most), begin - count};
      begin += count;
    }
    const SpreadTokens tokens = spread(shares);
    const std::uint32_t size = 1U << shares.log;
    for (std::uint32_t state = 0; state < size; ++state)
      states[next[tokens[state]]++] = static_cast<std::uint16_t>(state + size);
  }
};

}  // namespace

void AnsEncoder::encode(std::string& out, std::span<const std::uint64_t> values) {
  if (values.empty()) return;
  std::array<std::uint32_t, tokens_max> counts{};
  steps_.resize(values.size());
  const std::span<Step> steps(steps_);
  for (std::size_t n = 0; n < values.size(); ++n) {
    const Token token = token_of(values[n]);
    ++counts[token.number];
    steps[n] = {static_cast<std::uint16_t>(token.number), 0, static_cast<std::uint8_t>(token.below)};
  }
  BitWriter bits(out);
  const Shares shares = shares_of(values.size(), counts, bits);
  const Ways ways(shares);
  const std::uint32_t size = 1U << shares.log;
  std::uint32_t state = size;
  for (std::size_t n = values.size(); n-- > 0;) {
    Step& step = steps[n];
    const Way way = ways.of_token[step.bits - shares.first];
    const unsigned count = (state + way.bits) >> 16U;
    step.bits = static_cast<std::uint16_t>(state & ((1U << count) - 1));
    step.count = static_cast<std::uint8_t>(count);
    state = ways.states[(state >> count) + way.place];
  }
  bits.put(state - size, shares.log);
  for (std::size_t n = 0; n < values.size(); ++n) {
    const Step step = steps[n];
    const std::uint64_t low = values[n] & ((std::uint64_t{1} << step.below) - 1);
    if (step.below > wide) {
      bits.put(low >> wide, step.below - wide);
      bits.put(low & wide_mask, wide);
      bits.put(step.bits, step.count);
    } else {
      bits.put(low << step.count | step.bits, step.below + step.count);
    }
  }
  bits.flush();
}

namespace {

// The decoder's entry for a state.
struct State {
  std::uint16_t next = 0;  // the next state is this plus `count` bits of the stream
  std::uint8_t count = 0;
  std::uint8_t below = 0;  // low bits of the value to read from the stream
  std::uint32_t top = 0;   // the leading bits of the value
};
using States = std::array<State, 1U << log_max>;

void fill(States& states, const Shares& shares) {
  std::array<State, tokens_max> of_token;
  for (unsigned n = 0; n < shares.tokens; ++n)
    of_token[n] = {0, 0, static_cast<std::uint8_t>(below(shares.first + n)), top(shares.first + n)};
  const SpreadTokens tokens = spread(shares);
  const std::uint32_t size = 1U << shares.log;
  auto next = shares.states;
  for (std::uint32_t state = 0; state < size; ++state) {
    const unsigned token = tokens[state];
    const std::uint32_t from = next[token]++;
    const auto count = shares.log + 1 - static_cast<unsigned>(std::bit_width(from));
    states[state] = of_token[token];
    states[state].next = static_cast<std::uint16_t>((from << count) - size);
    states[state].count = static_cast<std::uint8_t>(count);
  }
}

}  // namespace

bool ans_decode(std::string_view bytes, std::span<std::uint64_t> values) {
  if (values.empty()) return bytes.empty();
  BitReader bits(bytes);
  Shares shares;
  shares.log = static_cast<unsigned>(bits.get(log_bits));
  shares.first = static_cast<unsigned>(bits.get(token_bits));
  shares.tokens = static_cast<unsigned>(bits.get(token_bits)) + 1;
  if (shares.log < log_min || shares.log > log_max || shares.first + shares.tokens > tokens_max) return false;
  std::array<std::uint8_t, tokens_max> levels{};
  const auto of_tokens = std::span(levels).first(shares.tokens);
  if (!get_levels(bits, of_tokens) || !share(shares, of_tokens)) return false;
  States states;
  fill(states, shares);
  auto state = static_cast<std::uint32_t>(bits.get(shares.log));
  for (std::uint64_t& value : values) {
    const State& here = states[state];
    const unsigned count = here.count;
    const unsigned rest = here.below;
    const std::uint64_t top = here.top;
    const std::uint32_t next = here.next;
    bits.fill();
    std::uint64_t low = 0;
    if (rest <= wide) {
      low = bits.take_bits(rest);
    } else {
      low = bits.take_bits(rest - wide) << wide;
      bits.fill();
      low |= bits.take_bits(wide);
    }
    value = top << rest | low;
    state = next + static_cast<std::uint32_t>(bits.take_bits(count));
  }
  return !bits.overrun();
}

}  // namespace perjoule::storage
