#include "storage/codec/frame.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "storage/codec/checksum.hpp"
#include "storage/codec/decimal.hpp"
#include "storage/codec/varint.hpp"

namespace perjoule::storage {

namespace {

enum class Form : std::uint8_t { empty, constant, delta, acceleration, raw, raw_constant };

constexpr char format = 1;
constexpr unsigned holes_bit = 8;
constexpr unsigned frame_scale_max = 6;

// The smallest scale that is exact for all values; fills `integers`. nullopt: no scale is.
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
    n = 0;  // start again: values that were exact at the smaller scale may be too large at this one
  }
  return scale;
}

// Writes without checking bounds: the caller has made room for the longest possible encoding.
class Cursor {
 public:
  explicit Cursor(char* at) : at_(at) {}
  void byte(unsigned value) { *at_++ = static_cast<char>(static_cast<unsigned char>(value)); }
  void varint(std::uint64_t value) { at_ = put_varint(at_, value); }
  void little_endian(std::uint64_t value, unsigned size) { at_ = put_little_endian(at_, value, size); }
  void bitmap(std::span<const std::uint8_t> present) {
    for (; !present.empty(); present = present.subspan(std::min<std::size_t>(8, present.size()))) {
      unsigned bits = 0;
      for (std::size_t n = 0; n < std::min<std::size_t>(8, present.size()); ++n)
        bits |= (present[n] != 0 ? 1U : 0U) << n;
      byte(bits);
    }
  }
  [[nodiscard]] char* at() const { return at_; }

 private:
  char* at_;
};

// The cursor is passed by value, for speed: a store through char* may alias a referenced cursor and forces the compiler
// to reload it, but cannot alias a local copy.
Cursor put_differences(Cursor out, std::span<const std::uint64_t> integers, bool second) {
  std::uint64_t last = 0;
  std::uint64_t last_step = 0;
  for (std::size_t n = 0; n < integers.size(); ++n) {
    const std::uint64_t step = integers[n] - last;
    out.varint(zigzag(second && n > 1 ? step - last_step : step));
    last = integers[n];
    last_step = step;
  }
  return out;
}

// Whether differences of differences take fewer bytes than differences. The first two values are coded the same.
bool second_is_shorter(std::span<const std::uint64_t> integers) {
  std::size_t delta = 0;
  std::size_t acceleration = 0;
  for (std::size_t n = 2; n < integers.size(); ++n) {
    const std::uint64_t step = integers[n] - integers[n - 1];
    delta += varint_size(zigzag(step));
    acceleration += varint_size(zigzag(step - (integers[n - 1] - integers[n - 2])));
  }
  return acceleration < delta;
}

// Writes the columns of one group; keeps its buffers from one column to the next.
class ColumnWriter {
 public:
  explicit ColumnWriter(Cursor& out) : out_(out) {}

  // `present`: empty if every tick has a value.
  void put(std::span<const double> values, std::span<const std::uint8_t> present) {
    present_ = {};
    if (std::find(present.begin(), present.end(), 0) != present.end()) {
      present_ = present;
      filled_.clear();
      for (std::size_t n = 0; n < values.size(); ++n) {
        if (present[n] != 0) filled_.push_back(values[n]);
      }
      values = filled_;
    }
    if (values.empty()) {
      out_.byte(static_cast<unsigned>(Form::empty));
    } else {
      put_values(values);
    }
  }

 private:
  void begin(Form form, unsigned scale) {
    out_.byte(static_cast<unsigned>(form) | (present_.empty() ? 0U : holes_bit) | scale << 4);
    out_.bitmap(present_);
  }
  void put_values(std::span<const double> values) {
    const std::uint64_t first = bits_of(values.front());
    const bool constant = std::all_of(values.begin(), values.end(), [&](double v) { return bits_of(v) == first; });
    if (constant) values = values.first(1);
    const auto scale = scale_all(values, integers_);
    if (!scale) {
      begin(constant ? Form::raw_constant : Form::raw, 0);
      for (const double value : values)
        out_.little_endian(bits_of(value), 8);
    } else if (constant) {
      begin(Form::constant, *scale);
      out_.varint(zigzag(integers_.front()));
    } else {
      const bool second = second_is_shorter(integers_);
      begin(second ? Form::acceleration : Form::delta, *scale);
      out_ = put_differences(out_, integers_, second);
    }
  }

  Cursor& out_;
  std::span<const std::uint8_t> present_;  // empty: no holes
  std::vector<double> filled_;
  std::vector<std::uint64_t> integers_;
};

Error bad(std::string what) {
  return {Fault::broken, "history frame: " + std::move(what)};
}

// Reads what `put_differences` wrote.
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

// False: the bytes are invalid. `all`: there are no holes.
bool read_values(ByteReader& reader, Form form, unsigned scale, bool all, Decoded& out) {
  Summer summer(reader, form == Form::acceleration);
  bool exact = true;
  const double unit = powers_of_ten[scale];
  const auto raw = [&] { return std::bit_cast<double>(reader.little_endian(8)); };
  const auto decimal = [&] {
    const auto integer = static_cast<std::int64_t>(summer.next());
    exact &= integer > -exact_limit && integer < exact_limit;
    return static_cast<double>(integer) / unit;
  };
  const auto each = [&](const auto& next) {
    for (std::size_t n = 0; n < out.present.size(); ++n) {
      if (all || out.present[n] != 0) out.values[n] = next();
    }
  };
  if (form == Form::constant || form == Form::raw_constant) {
    std::fill(out.values.begin(), out.values.end(), form == Form::constant ? decimal() : raw());
  } else if (form == Form::raw) {
    each(raw);
  } else {
    each(decimal);
  }
  return exact && reader.ok();
}

// A tag, or the invalid one. An integer in one register, because std::optional<Tag> was stored to and loaded from
// memory in two parts, which took a tenth of the time of ingestion.
class Tag {
 public:
  static Tag read(ByteReader& reader) {
    const Tag tag(static_cast<unsigned>(reader.little_endian(1)));
    const bool good = reader.ok() && tag.form() <= Form::raw_constant && tag.scale() <= frame_scale_max &&
                      (tag.form() != Form::empty || tag.bits_ == 0);
    return good ? tag : Tag(invalid);
  }
  explicit operator bool() const { return bits_ != invalid; }
  [[nodiscard]] Form form() const { return static_cast<Form>(bits_ & 7); }
  [[nodiscard]] bool holes() const { return (bits_ & holes_bit) != 0; }
  [[nodiscard]] unsigned scale() const { return bits_ >> 4; }

 private:
  static constexpr unsigned invalid = 256;
  explicit Tag(unsigned bits) : bits_(bits) {}
  unsigned bits_;
};

// Skips a column that the reader does not need.
bool skip_column(ByteReader& reader, std::size_t ticks) {
  const auto tag = Tag::read(reader);
  if (!tag) return false;
  std::size_t values = tag.form() == Form::empty ? 0 : ticks;
  if (tag.holes()) {
    values = 0;
    for (const char byte : reader.bytes((ticks + 7) / 8))
      values += static_cast<std::size_t>(std::popcount(static_cast<unsigned char>(byte)));
  }
  const bool once = tag.form() == Form::constant || tag.form() == Form::raw_constant;
  if (once) values = 1;
  if (tag.form() == Form::raw || tag.form() == Form::raw_constant) {
    reader.bytes(values * 8);
  } else {
    reader.skip_varints(values);
  }
  return reader.ok();
}

bool read_column(ByteReader& reader, Decoded& out, bool& empty) {
  const std::size_t ticks = out.stamps_ms.size();
  const auto tag = Tag::read(reader);
  if (!tag) return false;
  empty = tag.form() == Form::empty;
  if (empty) return true;
  out.present.assign(ticks, 1);
  if (tag.holes()) {
    const std::string_view bitmap = reader.bytes((ticks + 7) / 8);
    if (!reader.ok()) return false;
    for (std::size_t n = 0; n < ticks; ++n)
      out.present[n] = static_cast<unsigned char>(bitmap[n / 8]) >> n % 8 & 1U;
  }
  return read_values(reader, tag.form(), tag.scale(), !tag.holes(), out);
}

// Decodes the columns that the caller needs; nullopt: all.
Result<void> read_group(ByteReader body, std::int64_t base_ms, std::optional<Wanted> wanted, Decoded& out,
                        const std::function<void(const ColumnView&)>& each) {
  const auto group = static_cast<std::int64_t>(body.varint());
  const std::uint64_t ticks = body.varint();
  const std::uint64_t columns = body.varint();
  // Each timestamp and each column takes at least one byte, so allocations are bounded by the size of the input.
  if (!body.ok() || ticks == 0 || ticks > frame_ticks_max || columns > frame_columns_max ||
      ticks + columns > body.left()) {
    return bad("implausible number of ticks or columns");
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
    if (!good) return bad("malformed column");
    if (!empty) each({group, column, out.stamps_ms, out.values, out.present});
    if (!wanted || skipped) continue;
    *wanted = wanted->subspan(1);
    if (wanted->empty()) return {};
  }
  if (!wanted && body.left() != 0) return bad("unexpected bytes after the last column");
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
  constexpr std::size_t head_max = varint_bytes_max + 4;
  const std::size_t column_max = 1 + (ticks + 7) / 8 + ticks * varint_bytes_max;
  const std::size_t start = frame.size();
  frame.resize(start + head_max + (3 + ticks) * varint_bytes_max + block.columns * column_max);
  char* const body = frame.data() + start + head_max;
  Cursor out(body);
  out.varint(static_cast<std::uint64_t>(block.group));
  out.varint(ticks);
  out.varint(block.columns);
  std::vector<std::uint64_t> stamps;
  for (auto stamp : block.stamps_ms)
    stamps.push_back(static_cast<std::uint64_t>(stamp) - static_cast<std::uint64_t>(base_ms));
  out = put_differences(out, stamps, true);
  const bool all = std::find(block.present.begin(), block.present.end(), 0) == block.present.end();
  ColumnWriter writer(out);
  for (std::size_t column = 0; column < block.columns; ++column) {
    const auto present = std::span(block.present).subspan(column * ticks, ticks);
    writer.put(std::span(block.values).subspan(column * ticks, ticks), all ? present.first(0) : present);
  }
  const std::string_view written(body, static_cast<std::size_t>(out.at() - body));
  Cursor head(frame.data() + start);
  head.varint(written.size());
  head.little_endian(crc32(written), 4);
  std::copy(written.begin(), written.end(), head.at());
  frame.resize(static_cast<std::size_t>(head.at() - frame.data()) + written.size());
}

namespace {

// The callback returns for a group whether to decode it, and which columns; nullopt: all.
template <class Want>
Result<void> decode(std::string_view frame, const Want& want, const std::function<void(const ColumnView&)>& each) {
  if (frame.empty() || frame[0] != format) return bad("unknown format, expected 1");
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
    if (crc32(body) != crc) return bad("checksum mismatch");
    if (auto read = read_group(ByteReader(body), base_ms, columns, decoded, each); !read) return read;
  }
  if (!reader.ok()) return bad("truncated");
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
