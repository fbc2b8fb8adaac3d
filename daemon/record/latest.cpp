#include "daemon/record/latest.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace perjoule {

namespace {

bool is_info(const Metric& metric) {
  return metric.unit == Unit::none && metric.kind == Kind::gauge && metric.name.ends_with("_info");
}

std::string_view family_name(const Metric& metric, Format format) {
  std::string_view name = metric.name;
  if (format == Format::openmetrics && metric.kind == Kind::counter)
    name.remove_suffix(std::string_view("_total").size());
  if (format == Format::openmetrics && is_info(metric)) name.remove_suffix(std::string_view("_info").size());
  return name;
}

// What the kernel gives in thousandths or millionths of a unit, four times as quick as std::to_chars and with the same
// text: of at most 15 digits, no two decimals are the same double, so that the one found here is the shortest.
// Returns `at` for all other numbers, and for small ones, whose shortest text has an exponent.
char* write_millionths(char* at, double value) {
  const double magnitude = std::abs(value);
  if (magnitude < 1e-3 || magnitude >= 1e9) return at;
  // A wrong rounding is seen on the line after; llround is a call. NOLINTNEXTLINE(bugprone-incorrect-roundings)
  const auto millionths = static_cast<std::uint64_t>(magnitude * 1e6 + 0.5);
  if (static_cast<double>(millionths) / 1e6 != magnitude) return at;
  if (value < 0) *at++ = '-';
  at = std::to_chars(at, at + 10, millionths / 1'000'000).ptr;
  *at++ = '.';
  auto rest = static_cast<std::uint32_t>(millionths % 1'000'000);
  for (std::uint32_t unit = 100'000; rest > 0; rest %= unit, unit /= 10)
    *at++ = static_cast<char>('0' + rest / unit);
  return at;
}

}  // namespace

std::string family_header(const Metric& metric, Format format) {
  const std::string name(family_name(metric, format));
  std::string help;
  for (char c : metric.help) {
    if (format == Format::openmetrics && c == '"') help += '\\';
    help += c;
  }
  const std::string help_line = "# HELP " + name + ' ' + help + '\n';
  std::string type = metric.kind == Kind::counter ? "counter" : "gauge";
  if (format == Format::openmetrics && is_info(metric)) type = "info";
  const std::string type_line = "# TYPE " + name + ' ' + type + '\n';
  if (format == Format::text) return help_line + type_line;
  std::string unit_line;
  if (metric.unit != Unit::none) unit_line = "# UNIT " + name + ' ' + std::string(suffix(metric.unit)) + '\n';
  return type_line + unit_line + help_line;
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    char digits[32];
    // Whole numbers below 2^53 are the common case (counts, flags, degrees), and an integer's digits come quicker.
    const auto whole = static_cast<std::int64_t>(std::abs(value) < 9.0e15 ? value : 0.5);
    const bool is_whole = static_cast<double>(whole) == value && !(whole == 0 && std::signbit(value));
    char* end = is_whole ? std::to_chars(digits, std::end(digits), whole).ptr : write_millionths(digits, value);
    if (end == digits) end = std::to_chars(digits, std::end(digits), value).ptr;
    out.append(digits, end);
  }
}

void Latest::declare(SeriesId id, const Metric& metric, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(id);
  if (slots_.size() <= index) slots_.resize(index + 1);
  Family& family = families_[metric.name];
  if (family.metric == nullptr) {
    family.metric = &metric;
    family.text_header = family_header(metric, Format::text);
    family.openmetrics_header = family_header(metric, Format::openmetrics);
  }
  std::string& prefixes = family.prefixes;
  const std::size_t begin = prefixes.size();
  prefixes += metric.name;
  if (!labels.empty()) prefixes.append("{").append(labels).append("}");
  prefixes += ' ';
  family.lines.push_back({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(begin),
                          static_cast<std::uint32_t>(prefixes.size() - begin)});
}

void Latest::set(std::span<const Sample> samples, std::int64_t steady_ns, std::int64_t stale_after_ns) {
  const std::lock_guard lock(mutex_);
  for (const Sample& sample : samples) {
    Slot& slot = slots_[static_cast<std::size_t>(sample.series)];
    slot.value = sample.value;
    slot.steady_ns = steady_ns;
    slot.stale_after_ns = stale_after_ns;
  }
}

void Latest::touch(std::span<const Sample> samples, std::int64_t steady_ns) {
  const std::lock_guard lock(mutex_);
  for (const Sample& sample : samples)
    slots_[static_cast<std::size_t>(sample.series)].steady_ns = steady_ns;
}

void Latest::remove(SeriesId id) {
  remove(std::span(&id, 1));
}

void Latest::remove(std::span<const SeriesId> ids) {
  const std::lock_guard lock(mutex_);
  for (SeriesId id : ids)
    slots_[static_cast<std::size_t>(id)].stale_after_ns = -1;
}

void Latest::write(std::string& out, Format format, std::int64_t now_ns, const Admit& admit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    if (admit && !admit(*family.metric)) continue;
    bool headed = false;
    for (const Line& line : family.lines) {
      const Slot& slot = slots_[line.slot];
      if (!is_fresh(slot, now_ns)) continue;
      if (!headed) out += format == Format::text ? family.text_header : family.openmetrics_header;
      headed = true;
      out += family.prefix(line);
      append_number(out, slot.value);
      out += '\n';
    }
  }
}

std::optional<double> Latest::value(SeriesId id, std::int64_t now_ns) const {
  const std::lock_guard lock(mutex_);
  const Slot& slot = slots_[static_cast<std::size_t>(id)];
  if (!is_fresh(slot, now_ns)) return std::nullopt;
  return slot.value;
}

void Latest::newest(std::span<const SeriesId> ids, std::int64_t now_ns, std::vector<Newest>& out) const {
  out.clear();
  const std::lock_guard lock(mutex_);
  for (const SeriesId id : ids) {
    const Slot& slot = slots_[static_cast<std::size_t>(id)];
    out.push_back({slot.value, slot.steady_ns, is_fresh(slot, now_ns)});
  }
}

std::size_t Latest::fresh(std::int64_t now_ns) const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const Slot& slot : slots_)
    count += is_fresh(slot, now_ns) ? 1U : 0U;
  return count;
}

void Latest::visit(std::int64_t now_ns, const Each& each) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, family] : families_) {
    for (const Line& line : family.lines) {
      const Slot& slot = slots_[line.slot];
      if (!is_fresh(slot, now_ns)) continue;
      std::string_view labels = family.prefix(line);
      labels.remove_prefix(name.size());
      labels.remove_suffix(1);
      if (!labels.empty()) labels = labels.substr(1, labels.size() - 2);
      each(*family.metric, labels, slot.value);
    }
  }
}

}  // namespace perjoule
