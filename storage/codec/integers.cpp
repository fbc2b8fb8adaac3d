#include "storage/codec/integers.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "storage/codec/ans_coder.hpp"
#include "storage/codec/rice.hpp"
#include "storage/codec/varint.hpp"

namespace perjoule::storage {

namespace {

constexpr unsigned orders = 3;
constexpr unsigned form_rice = 2;             // 2, 4, 6 for order 0, 1, 2
constexpr unsigned form_ans = 8;              // 8, 9, 10
constexpr std::size_t ans_least_values = 64;  // with fewer values the table costs more than it saves

std::uint64_t bits_of(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

std::uint64_t magnitude(std::uint64_t value) {
  return std::min(value, 0 - value);
}

// Fills `out` with the values' distances from the first, divided by their greatest common divisor, and returns the
// divisor; 0: all values are equal.
std::uint64_t put_distances(std::span<const std::int64_t> values, std::vector<std::uint64_t>& out) {
  out.resize(values.size());
  std::uint64_t step = 0;
  for (std::size_t n = 0; n < values.size(); ++n) {
    out[n] = bits_of(values[n]) - bits_of(values.front());
    if (out[n] != 0 && (step == 0 || (step > 1 && magnitude(out[n]) % step != 0)))
      step = std::gcd(step, magnitude(out[n]));
  }
  if (step <= 1) return step;
  for (std::uint64_t& distance : out) {
    const std::uint64_t steps = magnitude(distance) / step;
    distance = distance >> 63U != 0 ? 0 - steps : steps;
  }
  return step;
}

// The order (0 to 2) whose residuals have the fewest bits in total, which estimates the coded size well enough.
unsigned best_order(std::span<const std::uint64_t> values) {
  std::array<std::uint64_t, orders> cost{};
  std::uint64_t before = 0;
  std::uint64_t difference_before = 0;
  const auto add = [&](unsigned order, std::uint64_t residual) {
    cost[order] += static_cast<unsigned>(std::bit_width(zigzag(residual)));
  };
  for (const std::uint64_t value : values) {
    const std::uint64_t difference = value - before;
    add(0, value);
    add(1, difference);
    add(2, difference - difference_before);
    before = value;
    difference_before = difference;
  }
  return static_cast<unsigned>(std::min_element(cost.begin(), cost.end()) - cost.begin());
}

// Replaces values by zigzag residuals, in place. Runs from the last to the first, because each needs the unchanged
// values before it. The first value, a distance of 0, stays.
void put_residuals(std::span<std::uint64_t> values, unsigned order) {
  for (std::size_t n = values.size() - 1; n > 0; --n) {
    std::uint64_t residual = values[n];
    if (order > 0) residual -= values[n - 1];
    if (order > 1 && n > 1) residual -= values[n - 1] - values[n - 2];
    values[n] = zigzag(residual);
  }
}

}  // namespace

void IntegerCodec::encode(std::string& out, std::span<const std::int64_t> values, Effort effort) {
  const std::uint64_t step = values.empty() ? 0 : put_distances(values, residuals_);
  if (step == 0) {
    const std::int64_t constant = values.empty() ? 0 : values.front();
    out.push_back(constant == 0 ? '\0' : '\1');
    if (constant != 0) put_varint(out, zigzag(bits_of(constant)));
    return;
  }
  const unsigned order = best_order(residuals_);
  put_residuals(residuals_, order);
  // The first residuals (the start value, and for order 2 the first difference) are written apart: they are unlike the
  // others and would spoil the parameters.
  const std::size_t skipped = order == 2 ? 2 : 1;
  const auto rest = std::span<const std::uint64_t>(residuals_).subspan(skipped);
  const bool with_table = effort == Effort::thorough && rest.size() >= ans_least_values;
  ans_bytes_.clear();
  if (with_table) ans_.encode(ans_bytes_, rest);
  rice_.clear();
  if (!with_table || rice_bits_about(rest) < ans_bytes_.size() * 8) rice_encode(rice_, rest);
  const bool is_rice = !with_table || (!rice_.empty() && rice_.size() < ans_bytes_.size());
  out.push_back(static_cast<char>(is_rice ? form_rice + 2 * order : form_ans + order));
  put_varint(out, step);
  put_varint(out, zigzag(bits_of(values.front())));
  if (order == 2) put_varint(out, residuals_[1]);
  out += is_rice ? rice_ : ans_bytes_;
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
