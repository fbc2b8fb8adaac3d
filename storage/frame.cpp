#include "storage/frame.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>

#include "storage/checksum.hpp"
#include "storage/decimal.hpp"
#include "storage/varint.hpp"

namespace perjoule::storage {

namespace {

enum class Form : std::uint8_t { empty, constant, delta, acceleration, raw, raw_constant };

constexpr char format = 1;
constexpr unsigned holes_bit = 8;
constexpr unsigned frame_scale_max = 6;

// The smallest scale that is exact for all values, and their integers.
std::optional<unsigned> scale_all(std::span<const double> values, std::vector<std::uint64_t>& integers) {
  integers.resize(values.size());
  unsigned scale = 0;
  for (std::size_t n = 0; n < values.size();) {
    const auto integer = scaled(values[n], scale);
    if (integer) {
      integers[n++] = static_cast<std::uint64_t>(*integer);
      continue;
    }
    if (++scale > frame_scale_max) return std::nullopt;
    n = 0;  // what was exact at a smaller scale may be too large for this one
  }
  return scale;
}

template <class Put>
void differences(std::span<const std::uint64_t> integers, bool second, const Put& put) {
  std::uint64_t last = 0;
  std::uint64_t last_step = 0;
  for (std::size_t n = 0; n < integers.size(); ++n) {
    const std::uint64_t step = integers[n] - last;
    put(zigzag(second && n > 1 ? step - last_step : step));
    last = integers[n];
    last_step = step;
  }
}

struct Scratch {
  std::vector<double> values;
  std::vector<std::uint64_t> integers;
};

void put_tag(std::string& out, Form form, bool holes, unsigned scale) {
  out.push_back(static_cast<char>(static_cast<unsigned>(form) | (holes ? holes_bit : 0U) | scale << 4));
}

void put_bitmap(std::string& out, std::span<const std::uint8_t> present) {
  const std::size_t start = out.size();
  out.append((present.size() + 7) / 8, '\0');
  for (std::size_t n = 0; n < present.size(); ++n) {
    if (present[n] == 0) continue;
    char& byte = out[start + n / 8];
    byte = static_cast<char>(static_cast<unsigned char>(byte) | 1U << n % 8);
  }
}

void put_values(std::string& out, bool holes, std::span<const std::uint8_t> present, Scratch& scratch) {
  const auto& values = scratch.values;
  const auto begin = [&](Form form, unsigned scale) {
    put_tag(out, form, holes, scale);
    if (holes) put_bitmap(out, present);
  };
  const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  const bool constant = std::all_of(values.begin(), values.end(), [&](double v) { return bits(v) == bits(values[0]); });
  const auto scale = scale_all(values, scratch.integers);
  if (!scale) {
    begin(constant ? Form::raw_constant : Form::raw, 0);
    const std::size_t count = constant ? 1 : values.size();
    for (std::size_t n = 0; n < count; ++n)
      put_little_endian(out, bits(values[n]), 8);
    return;
  }
  if (constant) {
    begin(Form::constant, *scale);
    put_varint(out, zigzag(scratch.integers[0]));
    return;
  }
  std::size_t delta_size = 0;
  std::size_t acceleration_size = 0;
  differences(scratch.integers, false, [&](std::uint64_t coded) { delta_size += varint_size(coded); });
  differences(scratch.integers, true, [&](std::uint64_t coded) { acceleration_size += varint_size(coded); });
  const bool second = acceleration_size < delta_size;
  begin(second ? Form::acceleration : Form::delta, *scale);
  differences(scratch.integers, second, [&](std::uint64_t coded) { put_varint(out, coded); });
}

void put_column(std::string& out, std::span<const double> values, std::span<const std::uint8_t> present,
                Scratch& scratch) {
  scratch.values.clear();
  for (std::size_t n = 0; n < values.size(); ++n) {
    if (present[n] != 0) scratch.values.push_back(values[n]);
  }
  if (scratch.values.empty()) {
    put_tag(out, Form::empty, false, 0);
  } else {
    put_values(out, scratch.values.size() < values.size(), present, scratch);
  }
}

Error bad(std::string what) {
  return {Fault::broken, "history frame: " + std::move(what)};
}

// Sums of differences; the counterpart of `differences`.
class Summer {
 public:
  Summer(ByteReader& reader, bool second) : reader_(reader), second_(second) {}
  std::uint64_t next() {
    const std::uint64_t coded = reader_.zigzagged();
    step_ = second_ && count_ > 1 ? step_ + coded : coded;
    ++count_;
    return last_ += step_;
  }

 private:
  ByteReader& reader_;
  bool second_;
  std::size_t count_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t step_ = 0;
};

struct Decoded {
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
};

// False: the bytes mean nothing.
bool read_values(ByteReader& reader, Form form, unsigned scale, Decoded& out) {
  const bool raw = form == Form::raw || form == Form::raw_constant;
  const bool once = form == Form::constant || form == Form::raw_constant;
  Summer summer(reader, form == Form::acceleration);
  std::optional<double> same;
  for (std::size_t n = 0; n < out.present.size(); ++n) {
    if (out.present[n] == 0) continue;
    if (same) {
      out.values[n] = *same;
      continue;
    }
    if (raw) {
      out.values[n] = std::bit_cast<double>(reader.little_endian(8));
    } else {
      const auto integer = static_cast<std::int64_t>(summer.next());
      if (integer <= -exact_limit || integer >= exact_limit) return false;
      out.values[n] = static_cast<double>(integer) / powers_of_ten[scale];
    }
    if (!reader.ok()) return false;
    if (once) same = out.values[n];
  }
  return true;
}

struct Tag {
  Form form = Form::empty;
  bool holes = false;
  unsigned scale = 0;
};

std::optional<Tag> read_tag(ByteReader& reader) {
  const auto tag = static_cast<unsigned>(reader.little_endian(1));
  const Tag read{static_cast<Form>(tag & 7), (tag & holes_bit) != 0, tag >> 4};
  const bool good = reader.ok() && read.form <= Form::raw_constant && read.scale <= frame_scale_max;
  if (!good || (read.form == Form::empty && tag != 0)) return std::nullopt;
  return read;
}

// Passes over a column that nobody wants.
bool skip_column(ByteReader& reader, std::size_t ticks) {
  const auto tag = read_tag(reader);
  if (!tag) return false;
  std::size_t values = tag->form == Form::empty ? 0 : ticks;
  if (tag->holes) {
    values = 0;
    for (const char byte : reader.bytes((ticks + 7) / 8))
      values += static_cast<std::size_t>(std::popcount(static_cast<unsigned char>(byte)));
  }
  const bool once = tag->form == Form::constant || tag->form == Form::raw_constant;
  if (once) values = std::min<std::size_t>(values, 1);
  if (tag->form == Form::raw || tag->form == Form::raw_constant) {
    reader.bytes(values * 8);
  } else {
    reader.skip_varints(values);
  }
  return reader.ok();
}

bool read_column(ByteReader& reader, Decoded& out, bool& empty) {
  const std::size_t ticks = out.stamps_ms.size();
  const auto tag = read_tag(reader);
  if (!tag) return false;
  empty = tag->form == Form::empty;
  if (empty) return true;
  out.present.assign(ticks, 1);
  if (tag->holes) {
    const std::string_view bitmap = reader.bytes((ticks + 7) / 8);
    if (!reader.ok()) return false;
    for (std::size_t n = 0; n < ticks; ++n)
      out.present[n] = static_cast<unsigned char>(bitmap[n / 8]) >> n % 8 & 1U;
  }
  return read_values(reader, tag->form, tag->scale, out);
}

// No `wanted`: all columns.
Result<void> read_group(ByteReader body, std::int64_t base_ms, std::optional<Wanted> wanted, Decoded& out,
                        const std::function<void(const ColumnView&)>& each) {
  const auto group = static_cast<std::int64_t>(body.varint());
  const std::uint64_t ticks = body.varint();
  const std::uint64_t columns = body.varint();
  // Each stamp and each column takes a byte at least, so that what is allocated is no more than what came.
  if (!body.ok() || ticks == 0 || ticks > frame_ticks_max || columns > frame_columns_max ||
      ticks + columns > body.left()) {
    return bad("sizes that cannot be");
  }
  out.stamps_ms.resize(static_cast<std::size_t>(ticks));
  out.values.resize(out.stamps_ms.size());
  Summer summer(body, true);
  for (auto& stamp : out.stamps_ms) {
    stamp = static_cast<std::int64_t>(static_cast<std::uint64_t>(base_ms) + summer.next());
  }
  for (std::size_t column = 0; column < columns; ++column) {
    bool empty = true;
    const bool skipped = wanted && (wanted->empty() || wanted->front() != column);
    const bool good = skipped ? skip_column(body, out.stamps_ms.size()) : read_column(body, out, empty);
    if (!good) return bad("a column that cannot be");
    if (!empty) each({group, column, out.stamps_ms, out.values, out.present});
    if (!wanted || skipped) continue;
    *wanted = wanted->subspan(1);
    if (wanted->empty()) return {};
  }
  if (!wanted && body.left() != 0) return bad("bytes behind the last column");
  return {};
}

}  // namespace

void GroupBlock::reset(std::int64_t id, std::size_t column_count, std::size_t tick_count) {
  group = id;
  columns = column_count;
  stamps_ms.assign(tick_count, 0);
  values.assign(column_count * tick_count, 0);
  present.assign(column_count * tick_count, 0);
}

void begin_frame(std::string& frame, std::int64_t base_ms) {
  frame.assign(1, format);
  put_varint(frame, zigzag(static_cast<std::uint64_t>(base_ms)));
}

void append_group(std::string& frame, std::int64_t base_ms, const GroupBlock& block) {
  const std::size_t ticks = block.stamps_ms.size();
  std::string body;
  put_varint(body, static_cast<std::uint64_t>(block.group));
  put_varint(body, ticks);
  put_varint(body, block.columns);
  Scratch scratch;
  for (auto stamp : block.stamps_ms) {
    scratch.integers.push_back(static_cast<std::uint64_t>(stamp) - static_cast<std::uint64_t>(base_ms));
  }
  differences(scratch.integers, true, [&](std::uint64_t coded) { put_varint(body, coded); });
  for (std::size_t column = 0; column < block.columns; ++column) {
    put_column(body, std::span(block.values).subspan(column * ticks, ticks),
               std::span(block.present).subspan(column * ticks, ticks), scratch);
  }
  put_varint(frame, body.size());
  put_little_endian(frame, crc32(body), 4);
  frame += body;
}

namespace {

// `want` says of a group whether it is wanted, and which columns: nullopt is all.
template <class Want>
Result<void> decode(std::string_view frame, const Want& want, const std::function<void(const ColumnView&)>& each) {
  if (frame.empty() || frame[0] != format) return bad("of another format");
  ByteReader reader(frame.substr(1));
  const auto base_ms = static_cast<std::int64_t>(reader.zigzagged());
  Decoded decoded;
  while (reader.left() > 0) {
    const std::uint64_t size = reader.varint();
    if (size == 0) break;
    const auto crc = static_cast<std::uint32_t>(reader.little_endian(4));
    const std::string_view body = reader.bytes(size);
    if (!reader.ok()) break;
    const auto [wanted, columns] = want(static_cast<std::int64_t>(ByteReader(body).varint()));
    if (!wanted) continue;
    if (crc32(body) != crc) return bad("wrong checksum");
    if (auto read = read_group(ByteReader(body), base_ms, columns, decoded, each); !read) return read;
  }
  if (!reader.ok()) return bad("cut off");
  return {};
}

}  // namespace

Result<void> decode_frame(std::string_view frame, const std::function<bool(std::int64_t group)>& want,
                          const std::function<void(const ColumnView&)>& each) {
  return decode(
      frame, [&](std::int64_t group) { return std::pair(want(group), std::optional<Wanted>()); }, each);
}

Result<void> decode_columns(std::string_view frame, const std::function<Wanted(std::int64_t group)>& want,
                            const std::function<void(const ColumnView&)>& each) {
  const auto columns = [&](std::int64_t group) {
    const Wanted wanted = want(group);
    return std::pair(!wanted.empty(), std::optional(wanted));
  };
  return decode(frame, columns, each);
}

}  // namespace perjoule::storage
