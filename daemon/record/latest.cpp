#include "daemon/record/latest.hpp"

#include <cstdint>

#include "config/text.hpp"

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
    slot.read_ns = slot.stale_after_ns < 0 ? steady_ns : std::max(slot.read_ns, steady_ns);
    slot.steady_ns = steady_ns;
    slot.stale_after_ns = stale_after_ns;
  }
}

void Latest::read(std::span<const Sample> samples, std::int64_t steady_ns) {
  const std::lock_guard lock(mutex_);
  for (const Sample& sample : samples)
    slots_[static_cast<std::size_t>(sample.series)].read_ns = steady_ns;
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
      text::append_number(out, slot.value);
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
    out.push_back({slot.value, slot.steady_ns, slot.read_ns, is_fresh(slot, now_ns)});
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
