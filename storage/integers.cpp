#include "storage/integers.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "storage/ans_coder.hpp"
#include "storage/rice.hpp"
#include "storage/varint.hpp"

namespace perjoule::storage {

namespace {

constexpr unsigned orders = 3;
constexpr unsigned form_rice = 2;             // and 4 and 6, by order
constexpr unsigned form_ans = 8;              // to 10
constexpr std::size_t ans_least_values = 64;  // fewer are not worth a table

std::uint64_t bits_of(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

// Of the distances from the first; 0: they are all equal.
std::uint64_t step_of(std::span<const std::int64_t> values) {
  std::uint64_t step = 0;
  for (const std::int64_t value : values) {
    const std::uint64_t difference = bits_of(value) - bits_of(values.front());
    step = std::gcd(step, std::min(difference, 0 - difference));
    if (step == 1) break;
  }
  return step;
}

// Distances from the first in steps, as two's complement.
std::uint64_t scaled(std::int64_t value, std::int64_t first, std::uint64_t step) {
  const std::uint64_t difference = bits_of(value) - bits_of(first);
  const bool negative = difference >> 63U != 0;
  const std::uint64_t steps =
      step == 1 ? std::min(difference, 0 - difference) : std::min(difference, 0 - difference) / step;
  return negative ? 0 - steps : steps;
}

// What an order would leave in bits, near enough to choose by.
unsigned best_order(std::span<const std::int64_t> values, std::uint64_t step) {
  std::array<std::uint64_t, orders> cost{};
  std::uint64_t before = 0;
  std::uint64_t difference_before = 0;
  for (const std::int64_t value : values) {
    const std::uint64_t now = scaled(value, values.front(), step);
    const std::uint64_t difference = now - before;
    cost[0] += static_cast<unsigned>(std::bit_width(zigzag(now)));
    cost[1] += static_cast<unsigned>(std::bit_width(zigzag(difference)));
    cost[2] += static_cast<unsigned>(std::bit_width(zigzag(difference - difference_before)));
    before = now;
    difference_before = difference;
  }
  return static_cast<unsigned>(std::min_element(cost.begin(), cost.end()) - cost.begin());
}

}  // namespace

void IntegerCodec::encode(std::string& out, std::span<const std::int64_t> values, Effort effort) {
  const std::uint64_t step = values.empty() ? 0 : step_of(values);
  if (step == 0) {
    const std::int64_t constant = values.empty() ? 0 : values.front();
    out.push_back(constant == 0 ? '\0' : '\1');
    if (constant != 0) put_varint(out, zigzag(bits_of(constant)));
    return;
  }
  const unsigned order = best_order(values, step);
  residuals_.clear();
  std::uint64_t before = 0;
  std::uint64_t difference_before = 0;
  for (const std::int64_t value : values) {
    const std::uint64_t now = scaled(value, values.front(), step);
    const std::uint64_t difference = now - before;
    residuals_.push_back(zigzag(order == 0 ? now : order == 1 ? difference : difference - difference_before));
    before = now;
    difference_before = difference;
  }
  // The first residuals are the start itself, which is no sample of what follows.
  const std::size_t skipped = std::min<std::size_t>(order == 2 ? 2 : 1, residuals_.size());
  const std::uint64_t first_difference = order == 2 ? residuals_[1] : 0;
  const auto rest = std::span<const std::uint64_t>(residuals_).subspan(skipped);
  rice_.clear();
  rice_encode(rice_, rest);
  ans_.clear();
  if (effort == Effort::thorough && rest.size() >= ans_least_values) ans_encode(ans_, rest);
  const bool is_ans = !ans_.empty() && ans_.size() < rice_.size();
  out.push_back(static_cast<char>(is_ans ? form_ans + order : form_rice + 2 * order));
  put_varint(out, step);
  put_varint(out, zigzag(bits_of(values.front())));
  if (order == 2) put_varint(out, first_difference);
  out += is_ans ? ans_ : rice_;
}

bool IntegerCodec::decode(std::string_view bytes, std::span<std::int64_t> values) {
  ByteReader reader(bytes);
  const std::uint64_t form = reader.little_endian(1);
  if (form <= 1) {
    const auto constant = static_cast<std::int64_t>(form == 0 ? 0 : reader.zigzagged());
    std::fill(values.begin(), values.end(), constant);
    return reader.ok() && reader.left() == 0;
  }
  const bool is_ans = form >= form_ans;
  if (form >= form_ans + orders || (!is_ans && form % 2 != 0) || values.size() < 2) return false;
  const auto order = static_cast<unsigned>(is_ans ? form - form_ans : (form - form_rice) / 2);
  const std::uint64_t step = reader.varint();
  const std::uint64_t first = reader.zigzagged();
  const std::uint64_t first_difference = order == 2 ? reader.zigzagged() : 0;
  const std::string_view coded = reader.bytes(reader.left());
  if (!reader.ok()) return false;
  residuals_.resize(values.size() - (order == 2 ? 2 : 1));
  if (!(is_ans ? ans_decode(coded, residuals_) : rice_decode(coded, residuals_))) return false;
  std::uint64_t steps = 0;
  std::uint64_t difference = first_difference;
  values.front() = static_cast<std::int64_t>(first);
  if (order == 2) {
    steps = first_difference;
    values[1] = static_cast<std::int64_t>(first + steps * step);
  }
  const auto rest = values.last(residuals_.size());
  const auto restore = [&](const auto& next) {
    for (std::size_t n = 0; n < rest.size(); ++n)
      rest[n] = static_cast<std::int64_t>(first + next(unzigzag(residuals_[n])) * step);
  };
  if (order == 0) {
    restore([](std::uint64_t value) { return value; });
  } else if (order == 1) {
    restore([&](std::uint64_t value) { return steps += value; });
  } else {
    restore([&](std::uint64_t value) { return steps += difference += value; });
  }
  return true;
}

}  // namespace perjoule::storage
