#include "storage/codec/ans_coder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include "storage/codec/rice.hpp"

namespace perjoule::storage {

namespace {

using Values = std::vector<std::uint64_t>;

std::string encoded(const Values& values) {
  std::string out;
  AnsEncoder().encode(out, values);
  return out;
}

std::optional<Values> decoded(std::string_view bytes, std::size_t count) {
  Values values(count);
  if (!ans_decode(bytes, values)) return std::nullopt;
  return values;
}

// Values of mostly one width, of two distant widths, or of any width.
Values draw(std::mt19937_64& random) {
  const std::size_t count = 1 + random() % (random() % 8 == 0 ? 20'000 : 1000);
  const auto width = static_cast<unsigned>(random() % 65);
  const std::uint64_t kind = random() % 4;
  Values values;
  for (std::size_t n = 0; n < count; ++n) {
    const unsigned bits = kind == 0   ? width
                          : kind == 1 ? static_cast<unsigned>(random() % (width + 1))
                          : kind == 2 ? (random() % 97 == 0 ? 64U : 1U)
                                      : 64;
    values.push_back(bits == 0 ? 0 : random() >> (64 - bits));
  }
  return values;
}

}  // namespace

TEST_CASE("ans: any values round-trip") {
  std::mt19937_64 random(31);
  for (int run = 0; run < 4000; ++run) {
    const Values values = draw(random);
    CHECK(decoded(encoded(values), values.size()) == values);
  }
  CHECK(encoded({}).empty());
  CHECK(decoded("", 0) == Values());
}

TEST_CASE("ans: all tokens together, and each token alone") {
  Values each = {0, ~std::uint64_t{0}};
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t below : {0U, 1U, 2U, 3U})
      each.push_back(std::uint64_t{1} << bit | below << bit >> 2U);
  }
  CHECK(decoded(encoded(each), each.size()) == each);
  const Values one(5000, 6);
  CHECK(encoded(one).size() <= 6);
  CHECK(decoded(encoded(one), one.size()) == one);
}

TEST_CASE("ans: a value that occurs once among many round-trips") {
  Values values(60'000, 1);
  for (unsigned bit = 0; bit < 64; ++bit)
    values[100 * bit] = std::uint64_t{1} << bit;
  CHECK(decoded(encoded(values), values.size()) == values);
}

TEST_CASE("ans: the size is within 2 % of the entropy, far below Rice for skewed distributions") {
  std::mt19937_64 random(29);
  Values skewed;
  Values fair;
  for (int n = 0; n < 9000; ++n) {
    skewed.push_back(random() % 20 == 0 ? 1 + random() % 4 : 0);
    fair.push_back(random() % 1024);
  }
  const double entropy = 9000 * (0.95 * std::log2(1 / 0.95) + 0.05 * std::log2(1 / 0.0125)) / 8;
  CHECK(static_cast<double>(encoded(skewed).size()) < entropy * 1.02 + 8);
  CHECK(static_cast<double>(encoded(fair).size()) < 9000 * 10 / 8 * 1.02);
  std::string rice;
  rice_encode(rice, skewed);
  CHECK(encoded(skewed).size() * 2 < rice.size());
}

TEST_CASE("ans: hostile bytes are refused or decode to some values") {
  std::mt19937_64 random(37);
  Values values(300);
  for (int run = 0; run < 100'000; ++run) {
    std::string bytes = encoded(draw(random));
    bytes.resize(random() % (bytes.size() + 1));
    for (std::uint64_t n = random() % 4; n > 0 && !bytes.empty(); --n)
      bytes[random() % std::min<std::size_t>(bytes.size(), 40)] = static_cast<char>(random());
    [[maybe_unused]] const bool understood = ans_decode(bytes, values);
  }
  CHECK_FALSE(decoded("", 1).has_value());
  CHECK_FALSE(decoded(encoded(Values(1000, 5)).substr(0, 2), 1000).has_value());
}

}  // namespace perjoule::storage
