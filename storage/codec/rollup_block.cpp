#include "storage/codec/rollup_block.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "storage/codec/decimal.hpp"

namespace perjoule::storage {

namespace {

enum Part : std::size_t { min, max, mean, last, count, seconds, increase };
constexpr unsigned mean_digits = 2;  // decimal places that a mean has beyond those of the values
constexpr unsigned mean_places = 3;  // limit of these additional places

double part_of(const Bucket& bucket, std::size_t part) {
  switch (part) {
    case min:
      return bucket.min;
    case max:
      return bucket.max;
    case mean:
      return bucket.mean;
    case last:
      return bucket.last;
    case count:
      return static_cast<double>(bucket.count);
    case seconds:
      return bucket.seconds;
    default:
      return bucket.increase;
  }
}

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

// Decimal places of the sampled values in the buckets; nullopt: more than scale_max.
std::optional<unsigned> places_of(std::span<const Bucket> buckets) {
  unsigned places = 0;
  for (const Bucket& bucket : buckets) {
    for (const double value : {bucket.min, bucket.max, bucket.last}) {
      while (!scaled(value, places)) {
        if (++places > scale_max) return std::nullopt;
      }
    }
  }
  return places;
}

unsigned places_of_mean(unsigned places) {
  return std::max(places, std::min(places + mean_digits, mean_places));
}

double rounded(double value, unsigned places) {
  const double power = powers_of_ten[std::min(places, scale_max)];
  const double product = value * power;
  return std::fabs(product) < static_cast<double>(exact_limit) ? std::nearbyint(product) / power : value;
}

}  // namespace

void RollupWriter::encode(std::string& out, std::span<const std::vector<Bucket>> series, std::int64_t width_ms) {
  std::vector<std::int64_t> starts_ms;
  for (const auto& buckets : series) {
    for (const Bucket& bucket : buckets)
      starts_ms.push_back(bucket.start_ms);
  }
  std::sort(starts_ms.begin(), starts_ms.end());
  starts_ms.erase(std::unique(starts_ms.begin(), starts_ms.end()), starts_ms.end());
  block_.reset(0, series.size() * RollupReader::parts, starts_ms.size());
  block_.stamps_ms = std::move(starts_ms);
  for (std::size_t s = 0; s < series.size(); ++s) {
    fill(s, series[s]);
    leave_out_repeated(s);
  }
  chunk_.encode(out, block_, width_ms, {}, Effort::quick, RollupReader::parts);
}

void RollupWriter::fill(std::size_t series, std::span<const Bucket> buckets) {
  constexpr std::size_t parts = RollupReader::parts;
  const std::size_t ticks = block_.stamps_ms.size();
  const auto places = places_of(buckets);
  const bool grows = std::any_of(buckets.begin(), buckets.end(), [](const Bucket& b) { return b.increase != 0; });
  for (const Bucket& bucket : buckets) {
    const auto found = std::lower_bound(block_.stamps_ms.begin(), block_.stamps_ms.end(), bucket.start_ms);
    const auto at = static_cast<std::size_t>(found - block_.stamps_ms.begin());
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t cell = (series * parts + part) * ticks + at;
      block_.values[cell] = part_of(bucket, part);
      if (places && part == mean) block_.values[cell] = rounded(bucket.mean, places_of_mean(*places));
      if (places && part == increase) block_.values[cell] = rounded(bucket.increase, *places);
      block_.present[cell] = part == mean && grows ? 0 : 1;
    }
  }
}

// Makes the columns empty that repeat another one.
void RollupWriter::leave_out_repeated(std::size_t series) {
  const std::size_t ticks = block_.stamps_ms.size();
  const auto leave_out = [&](std::size_t column, const auto& expected) {
    for (std::size_t at = 0; at < ticks; ++at) {
      const std::size_t cell = column * ticks + at;
      if (block_.present[cell] != 0 && !same(block_.values[cell], expected(at))) return;
    }
    std::fill_n(block_.present.begin() + static_cast<std::ptrdiff_t>(column * ticks), ticks, std::uint8_t{0});
  };
  const std::size_t own = series * RollupReader::parts;
  leave_out(own + last, [&](std::size_t at) { return block_.values[(own + max) * ticks + at]; });
  for (const std::size_t part : {max, mean})
    leave_out(own + part, [&](std::size_t at) { return block_.values[own * ticks + at]; });
  for (const std::size_t part : {count, seconds}) {
    if (series > 0) leave_out(own + part, [&](std::size_t at) { return block_.values[part * ticks + at]; });
  }
  leave_out(own + increase, [](std::size_t) { return 0.0; });
}

Result<void> RollupReader::open(std::size_t size, ChunkReader::Read read) {
  if (auto opened = chunk_.open(size, std::move(read)); !opened) return opened;
  return read_common();
}

Result<void> RollupReader::open(std::string_view blob) {
  if (auto opened = chunk_.open(blob); !opened) return opened;
  return read_common();
}

Result<void> RollupReader::read_common() {
  if (chunk_.columns() == 0 || chunk_.columns() % parts != 0)
    return Error{Fault::broken, "history roll-up: number of columns is not a multiple of 7"};
  if (auto read = chunk_.stamps(starts_ms_); !read) return read;
  for (std::size_t n = 0; n < common_.size(); ++n) {
    if (auto read = chunk_.column(count + n, common_[n].values, common_[n].present); !read) return read;
  }
  return {};
}

Result<void> RollupReader::read(std::size_t index, std::vector<Bucket>& out) {
  for (std::size_t part = 0; part < parts; ++part) {
    if (auto read = chunk_.column(index * parts + part, columns_[part].values, columns_[part].present); !read) {
      return read;
    }
  }
  const auto& increases = columns_[increase].present;
  const bool grew = std::find(increases.begin(), increases.end(), 1) != increases.end();
  for (std::size_t at = 0; at < starts_ms_.size(); ++at) {
    if (columns_[min].present[at] == 0) continue;
    const auto value = [&](std::size_t part, const Column& otherwise) {
      return columns_[part].present[at] != 0 ? columns_[part].values[at] : otherwise.values[at];
    };
    Bucket bucket;
    bucket.start_ms = starts_ms_[at];
    bucket.min = columns_[min].values[at];
    bucket.max = value(max, columns_[min]);
    bucket.mean = grew ? std::numeric_limits<double>::quiet_NaN() : value(mean, columns_[min]);
    bucket.last = columns_[last].present[at] != 0 ? columns_[last].values[at] : bucket.max;
    const double samples = value(count, common_[0]);
    bucket.count = samples >= 0 && samples < static_cast<double>(exact_limit) ? static_cast<std::int64_t>(samples) : 0;
    bucket.seconds = value(seconds, common_[1]);
    bucket.increase = columns_[increase].values[at];  // 0 where the column has no value
    out.push_back(bucket);
  }
  return {};
}

}  // namespace perjoule::storage
