#include "storage/codec/chunk.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "storage/codec/checksum.hpp"
#include "storage/codec/decimal.hpp"
#include "storage/codec/varint.hpp"

namespace perjoule::storage {

namespace {

enum class Form : std::uint8_t { decimal, step, raw };

constexpr char format = 3;
constexpr unsigned form_mask = 7;
constexpr unsigned checksum_bytes = 4;
constexpr std::size_t first_read = 1024;
constexpr unsigned holes_bit = 8;
constexpr std::size_t columns_max = 65536;
constexpr std::size_t raw_from_exceptions = 8;  // a column is raw if more than one value in 8 has no exact scale

Error bad(std::string_view what) {
  return {Fault::broken, "history chunk: " + std::string(what)};
}

void put_tag(std::string& out, Form form, bool holes, unsigned scale) {
  out.push_back(static_cast<char>(static_cast<unsigned>(form) | (holes ? holes_bit : 0U) | scale << 4U));
}

void put_runs(std::string& out, std::span<const std::uint8_t> present) {
  std::string runs;
  std::size_t count = 0;
  bool is_present = true;
  for (std::size_t at = 0; at < present.size(); is_present = !is_present, ++count) {
    std::size_t length = 0;
    while (at + length < present.size() && (present[at + length] != 0) == is_present)
      ++length;
    put_varint(runs, length);
    at += length;
  }
  put_varint(out, count);
  out += runs;
}

bool get_runs(ByteReader& reader, std::span<std::uint8_t> present) {
  std::size_t at = 0;
  const std::uint64_t count = reader.varint();
  for (std::uint64_t run = 0; run < count && reader.ok(); ++run) {
    const std::uint64_t length = reader.varint();
    if (length > present.size() - at) return false;
    const auto end = at + static_cast<std::size_t>(length);
    std::fill(present.begin() + static_cast<std::ptrdiff_t>(at), present.begin() + static_cast<std::ptrdiff_t>(end),
              run % 2 == 0 ? 1 : 0);
    at = end;
  }
  return reader.ok() && at == present.size();
}

using Exceptions = std::vector<std::pair<std::size_t, double>>;  // position among the values, and the value

bool get_exceptions(ByteReader& reader, std::size_t ticks, Exceptions& exceptions) {
  const std::uint64_t count = reader.varint();
  std::uint64_t place = 0;
  for (std::uint64_t n = 0; n < count && reader.ok(); ++n) {
    place += reader.varint();
    const double value = std::bit_cast<double>(reader.little_endian(8));
    if (place >= ticks) return false;
    exceptions.emplace_back(static_cast<std::size_t>(place), value);
  }
  return reader.ok();
}

// Converts the integers back to values, at the beginning of `values`.
void restore(std::span<const std::int64_t> integers, Form form, double unit, const Exceptions& exceptions,
             std::span<double> values) {
  for (std::size_t n = 0; n < integers.size(); ++n) {
    values[n] = form == Form::raw    ? std::bit_cast<double>(integers[n])
                : form == Form::step ? static_cast<double>(integers[n]) * unit
                                     : static_cast<double>(integers[n]) / unit;
  }
  for (const auto& [place, value] : exceptions) {
    if (place < integers.size()) values[place] = value;
  }
}

// The first `count` elements are the values of the ticks that have one: moves each to the index of its tick, and sets
// the holes to 0. Runs from the end, so that it works in place.
void spread(std::span<const std::uint8_t> present, std::size_t count, std::span<double> values) {
  for (std::size_t tick = present.size(); tick-- > 0;)
    values[tick] = present[tick] != 0 ? values[--count] : 0;
}

// The smallest scale that is exact for nearly all values; nullopt: too many have none. A value does not raise the scale
// so far that a larger value before it no longer fits into 53 bits; it becomes an exception instead.
std::optional<unsigned> common_scale(std::span<const double> values) {
  unsigned scale = 0;
  double largest = 0;
  std::size_t without = 0;
  for (const double value : values) {
    if (scaled(value, scale)) {
      largest = std::max(largest, std::fabs(value));
      continue;
    }
    unsigned wanted = scale + 1;
    while (wanted <= scale_max && !scaled(value, wanted))
      ++wanted;
    if (wanted <= scale_max && largest * powers_of_ten[wanted] < static_cast<double>(exact_limit)) {
      scale = wanted;
      largest = std::max(largest, std::fabs(value));
    } else if (++without * raw_from_exceptions > values.size()) {
      return std::nullopt;
    }
  }
  return scale;
}

std::optional<std::int64_t> in_steps(double value, double step) {
  const double steps = std::nearbyint(value / step);
  if (!(std::fabs(steps) < static_cast<double>(exact_limit))) return std::nullopt;
  if (!(std::fabs(steps * step - value) <= step / 2 * (1 + 1e-9))) return std::nullopt;
  return static_cast<std::int64_t>(steps);
}

}  // namespace

// Timestamps are decoded with every column but are 1 % of the bytes, so decode speed matters more than size.
void ChunkWriter::stamps(std::span<const std::int64_t> stamps_ms, std::int64_t period_ms) {
  const std::int64_t period = std::max<std::int64_t>(period_ms, 1);
  integers_.clear();
  others_.clear();
  std::int64_t grid = stamps_ms.front();
  for (const std::int64_t stamp : stamps_ms.subspan(1)) {
    const std::int64_t periods = std::max<std::int64_t>((stamp - grid + period / 2) / period, 0);
    grid += periods * period;
    integers_.push_back(periods - 1);
    others_.push_back(stamp - grid);
  }
  put_varint(body_, static_cast<std::uint64_t>(period));
  put_varint(body_, zigzag(static_cast<std::uint64_t>(stamps_ms.front())));
  part_.clear();
  codec_.encode(part_, integers_, Effort::quick);
  put_varint(body_, part_.size());
  body_ += part_;
  codec_.encode(body_, others_, Effort::quick);
}

// Fills `integers_` and `exceptions_`. An exception repeats the integer before it, which costs next to nothing; its
// value is written in front of the integers. Returns the number of exceptions.
std::size_t ChunkWriter::count(std::span<const double> values, double step, unsigned scale) {
  integers_.resize(values.size());
  exceptions_.clear();
  std::size_t exceptions = 0;
  std::size_t last = 0;
  std::int64_t before = 0;
  for (std::size_t n = 0; n < values.size(); ++n) {
    const auto integer = step > 0 ? in_steps(values[n], step) : scaled(values[n], scale);
    if (!integer) {
      ++exceptions;
      put_varint(exceptions_, n - last);
      put_little_endian(exceptions_, bits_of(values[n]), 8);
      last = n;
    }
    integers_[n] = before = integer.value_or(before);
  }
  return exceptions;
}

void ChunkWriter::column(std::span<const double> values, std::span<const std::uint8_t> present, double step,
                         Effort effort) {
  const bool holes = std::find(present.begin(), present.end(), 0) != present.end();
  if (holes) {
    filled_.clear();
    for (std::size_t n = 0; n < values.size(); ++n) {
      if (present[n] != 0) filled_.push_back(values[n]);
    }
    values = filled_;
  }
  if (values.empty()) return;
  const auto begin = [&](Form form, unsigned scale) {
    put_tag(body_, form, holes, scale);
    if (holes) put_runs(body_, present);
  };
  const auto put_counted = [&](std::size_t exceptions) {
    put_varint(body_, exceptions);
    body_ += exceptions_;
    codec_.encode(body_, integers_, effort);
  };
  if (step > 0 && std::isfinite(step)) {
    begin(Form::step, 0);
    put_little_endian(body_, bits_of(step), 8);
    return put_counted(count(values, step, 0));
  }
  // The scale of the first values nearly always fits all. Only otherwise all are searched.
  auto scale = common_scale(values.first(std::min<std::size_t>(values.size(), 16)));
  std::size_t exceptions = scale ? count(values, 0, *scale) : values.size();
  if (exceptions > 0) {
    scale = common_scale(values);
    exceptions = scale ? count(values, 0, *scale) : 0;
  }
  if (scale) {
    begin(Form::decimal, *scale);
    return put_counted(exceptions);
  }
  begin(Form::raw, 0);
  integers_.clear();
  for (const double value : values)
    integers_.push_back(static_cast<std::int64_t>(bits_of(value)));
  codec_.encode(body_, integers_, effort);
}

void ChunkWriter::encode(std::string& out, const GroupBlock& block, std::int64_t period_ms,
                         std::span<const double> steps, Effort effort, std::size_t together) {
  const std::size_t ticks = block.stamps_ms.size();
  const std::size_t start = out.size();
  body_.clear();
  sizes_.clear();
  const auto summed = [](std::string& bytes, std::size_t from) {
    if (from < bytes.size()) put_little_endian(bytes, crc32(std::string_view(bytes).substr(from)), checksum_bytes);
  };
  stamps(block.stamps_ms, period_ms);
  sizes_.push_back(body_.size());
  summed(body_, 0);
  std::size_t from = body_.size();
  for (std::size_t c = 0; c < block.columns; ++c) {
    const std::size_t before = body_.size();
    column(std::span(block.values).subspan(c * ticks, ticks), std::span(block.present).subspan(c * ticks, ticks),
           steps.empty() ? 0 : steps[c], effort);
    sizes_.push_back(body_.size() - before);
    if ((c + 1) % together != 0 && c + 1 < block.columns) continue;
    summed(body_, from);
    from = body_.size();
  }
  out.push_back(format);
  put_varint(out, together);
  put_varint(out, ticks);
  put_varint(out, block.columns);
  for (const std::size_t size : sizes_)
    put_varint(out, size);
  summed(out, start);
  out += body_;
}

namespace {

Error unreadable() {
  return {Fault::transient, "history chunk: read from history.db failed"};
}

}  // namespace

Result<void> ChunkReader::open(std::string_view chunk) {
  return open(chunk.size(), [chunk](std::size_t offset, std::span<char> out) {
    if (offset > chunk.size() || out.size() > chunk.size() - offset) return false;
    std::copy_n(chunk.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return true;
  });
}

Result<void> ChunkReader::open(std::size_t size, Read read) {
  ticks_ = 0;
  read_ = std::move(read);
  // The first read nearly always contains the timestamps, too.
  for (std::size_t taken = first_read;; taken *= first_read) {
    head_.resize(std::min(taken, size));
    if (!read_(0, head_)) {
      parts_.clear();
      return unreadable();
    }
    if (read_head(size)) return {};
    parts_.clear();
    if (taken >= size) return bad("invalid head, or not of format 3");
  }
}

// False: the head is longer than the bytes in `head_`, or it is invalid.
bool ChunkReader::read_head(std::size_t size) {
  ByteReader reader(head_);
  if (static_cast<char>(reader.little_endian(1)) != format) return false;
  const std::uint64_t together = reader.varint();
  const std::uint64_t ticks = reader.varint();
  const std::uint64_t count = reader.varint();
  if (!reader.ok() || together == 0 || together > columns_max || ticks == 0 || ticks > chunk_ticks_max ||
      count > columns_max || count > head_.size()) {
    return false;
  }
  parts_.resize(static_cast<std::size_t>(count) + 1);
  for (Part& part : parts_)
    part.size = std::min<std::uint64_t>(reader.varint(), size);
  if (!reader.ok() || parts_.front().size == 0) return false;  // there are always timestamps
  const std::size_t head = head_.size() - reader.left();
  if (reader.little_endian(checksum_bytes) != crc32(std::string_view(head_).substr(0, head)) || !reader.ok())
    return false;
  together_ = static_cast<std::size_t>(together);
  std::size_t offset = head + checksum_bytes;
  std::size_t from = offset;
  std::size_t left = 1;  // parts until the next checksum; the timestamps have their own
  for (Part& part : parts_) {
    part.offset = offset;
    offset += part.size;
    if (--left > 0 && &part != &parts_.back()) continue;
    if (offset > from) offset += checksum_bytes;
    from = offset;
    left = together_;
  }
  if (offset != size) return false;
  ticks_ = static_cast<std::size_t>(ticks);
  loaded_at_ = parts_.size();
  return true;
}

// Fills `loaded_` with the parts [first, past), which share a checksum, and verifies it.
Result<void> ChunkReader::load(std::size_t first, std::size_t past) {
  if (loaded_at_ == first) return {};
  loaded_at_ = parts_.size();
  const std::size_t offset = parts_[first].offset;
  const std::size_t size = parts_[past - 1].offset + parts_[past - 1].size - offset;
  const std::size_t all = size + checksum_bytes;
  if (offset + all <= head_.size()) {
    loaded_.assign(head_, offset, all);
  } else {
    loaded_.resize(all);
    if (!read_(offset, loaded_)) return unreadable();
  }
  const std::uint64_t sum = ByteReader(std::string_view(loaded_).substr(size)).little_endian(checksum_bytes);
  if (sum != crc32(std::string_view(loaded_).substr(0, size))) return bad("checksum mismatch");
  loaded_at_ = first;
  return {};
}

Result<void> ChunkReader::stamps(std::vector<std::int64_t>& stamps_ms) {
  if (auto loaded = load(0, 1); !loaded) return loaded;
  ByteReader reader(std::string_view(loaded_).substr(0, parts_.front().size));
  const std::uint64_t period = reader.varint();
  const std::uint64_t first = reader.zigzagged();
  const std::string_view skips = reader.bytes(reader.varint());
  const std::string_view beside = reader.bytes(reader.left());
  integers_.resize(ticks_ - 1);
  others_.resize(ticks_ - 1);
  if (!reader.ok() || !codec_.decode(skips, integers_) || !codec_.decode(beside, others_))
    return bad("malformed timestamps");
  stamps_ms.resize(ticks_);
  stamps_ms.front() = static_cast<std::int64_t>(first);
  std::uint64_t grid = first;
  for (std::size_t n = 0; n < others_.size(); ++n) {
    grid += (static_cast<std::uint64_t>(integers_[n]) + 1) * period;
    stamps_ms[n + 1] = static_cast<std::int64_t>(grid + static_cast<std::uint64_t>(others_[n]));
  }
  return {};
}

Result<void> ChunkReader::column(std::size_t index, std::vector<double>& values, std::vector<std::uint8_t>& present) {
  values.assign(ticks_, 0);
  const Part part = parts_[index + 1];
  present.assign(ticks_, part.size == 0 ? 0 : 1);
  if (part.size == 0) return {};
  const std::size_t first = index / together_ * together_ + 1;
  if (auto loaded = load(first, std::min(first + together_, parts_.size())); !loaded) return loaded;
  ByteReader reader(std::string_view(loaded_).substr(part.offset - parts_[first].offset, part.size));
  const auto tag = static_cast<unsigned>(reader.little_endian(1));
  const auto form = static_cast<Form>(tag & form_mask);
  const unsigned scale = tag >> 4U;
  if (!reader.ok() || form > Form::raw || scale > scale_max) return bad("unknown column form or scale");
  if ((tag & holes_bit) != 0 && !get_runs(reader, present)) return bad("malformed holes");
  double step = 0;
  if (form == Form::step) step = std::bit_cast<double>(reader.little_endian(8));
  Exceptions exceptions;
  if (form != Form::raw && !get_exceptions(reader, ticks_, exceptions)) return bad("malformed exceptions");
  integers_.resize(static_cast<std::size_t>(std::count(present.begin(), present.end(), 1)));
  if (!reader.ok() || !codec_.decode(reader.bytes(reader.left()), integers_)) return bad("malformed values");
  restore(integers_, form, form == Form::step ? step : powers_of_ten[scale], exceptions, values);
  if ((tag & holes_bit) != 0) spread(present, integers_.size(), values);
  return {};
}

}  // namespace perjoule::storage
