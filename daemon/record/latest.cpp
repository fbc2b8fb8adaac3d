#include "daemon/record/latest.hpp"

#include <cstdint>
#include <iterator>
#include <stdexcept>

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

// The order of text in which a number is one character, by its value: "gpu-9" before "gpu-10".
bool natural_less(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const auto number = [&](std::string_view text) {
        text = text.substr(
            0, std::min(text.size(),
                        static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin())));
        return text.substr(std::min(text.find_first_not_of('0'), text.size()));
      };
      const std::string_view x = number(a);
      const std::string_view y = number(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      a.remove_prefix(std::min(a.find_first_not_of("0123456789"), a.size()));
      b.remove_prefix(std::min(b.find_first_not_of("0123456789"), b.size()));
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
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
  if (slots_.size() <= place_of(id)) slots_.resize(place_of(id) + 1);
  slots_[place_of(id)] = Slot{id};
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
  family.lines.push_back({id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(prefixes.size() - begin)});
}

const Latest::Slot* Latest::find(SeriesId id) const {
  const std::size_t place = place_of(id);
  return place < slots_.size() && slots_[place].id == id ? &slots_[place] : nullptr;
}

Latest::Slot& Latest::slot(SeriesId id) {
  Slot& found = slots_.at(place_of(id));
  if (found.id != id) throw std::out_of_range("Latest: a series that is not declared");
  return found;
}

// Sorts the new lines into the others, and puts the prefixes into the same order.
void Latest::arrange(Family& family) {
  if (family.sorted == family.lines.size()) return;
  const auto before = [&family](const Line& a, const Line& b) {
    return natural_less(family.prefix(a), family.prefix(b));
  };
  const auto middle = family.lines.begin() + static_cast<std::ptrdiff_t>(family.sorted);
  std::sort(middle, family.lines.end(), before);
  std::vector<Line> merged;
  merged.reserve(family.lines.size());
  std::merge(family.lines.begin(), middle, middle, family.lines.end(), std::back_inserter(merged), before);
  family.lines = std::move(merged);
  family.sorted = family.lines.size();
  family.pack();
}

void Latest::Family::pack() {
  std::string packed;
  packed.reserve(prefixes.size());
  for (Line& line : lines) {
    const auto begin = static_cast<std::uint32_t>(packed.size());
    packed += prefix(line);
    line.begin = begin;
  }
  prefixes = std::move(packed);
}

std::vector<SeriesId> Latest::forget(const std::unordered_set<SeriesId>& ids) {
  const std::lock_guard lock(mutex_);
  for (auto family = families_.begin(); family != families_.end();) {
    std::vector<Line>& lines = family->second.lines;
    const auto is_gone = [&](const Line& line) { return ids.contains(line.id); };
    const auto sorted_end = lines.begin() + static_cast<std::ptrdiff_t>(family->second.sorted);
    const auto gone = std::count_if(lines.begin(), sorted_end, is_gone);
    if (std::erase_if(lines, is_gone) > 0) {
      family->second.sorted -= static_cast<std::size_t>(gone);
      family->second.pack();
    }
    family = lines.empty() ? families_.erase(family) : std::next(family);
  }
  std::vector<SeriesId> open;
  for (const SeriesId id : ids) {
    if (find(id) == nullptr) continue;
    if (slot(id).open) open.push_back(id);
    slot(id) = Slot{};
  }
  return open;
}

void Latest::set(std::span<const Sample> samples, std::int64_t steady_ns, std::int64_t stale_after_ns) {
  const std::lock_guard lock(mutex_);
  for (const Sample& sample : samples) {
    Slot& to = slot(sample.series);
    to.value = sample.value;
    to.read_ns = to.stale_after_ns < 0 ? steady_ns : std::max(to.read_ns, steady_ns);
    to.steady_ns = steady_ns;
    to.stale_after_ns = stale_after_ns;
    to.shown = to.open = true;
  }
}

void Latest::read(std::span<const Sample> samples, std::int64_t steady_ns) {
  const std::lock_guard lock(mutex_);
  for (const Sample& sample : samples) {
    Slot& to = slot(sample.series);
    to.read_ns = steady_ns;
    to.open = true;
  }
}

void Latest::remove(SeriesId id) {
  remove(std::span(&id, 1));
}

void Latest::remove(std::span<const SeriesId> ids) {
  const std::lock_guard lock(mutex_);
  for (const SeriesId id : ids) {
    if (find(id) != nullptr) slot(id).stale_after_ns = -1;
  }
}

void Latest::write(std::string& out, Format format, std::int64_t now_ns, const Admit& admit) const {
  const std::lock_guard lock(mutex_);
  for (auto& [name, family] : families_) {
    if (admit && !admit(*family.metric)) continue;
    arrange(family);
    bool headed = false;
    for (const Line& line : family.lines) {
      const Slot& slot = slots_[place_of(line.id)];
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
  const Slot* found = find(id);
  if (found == nullptr || !is_fresh(*found, now_ns)) return std::nullopt;
  return found->value;
}

void Latest::newest(std::span<const SeriesId> ids, std::int64_t now_ns, std::vector<Newest>& out) const {
  out.clear();
  const std::lock_guard lock(mutex_);
  for (const SeriesId id : ids) {
    const Slot* found = find(id);
    if (found == nullptr) {
      out.push_back({.forgotten = true});
      continue;
    }
    out.push_back({found->value, found->steady_ns, found->read_ns, is_fresh(*found, now_ns), false});
  }
}

std::vector<SeriesId> Latest::take_ended(std::int64_t now_ns) {
  return take([now_ns](const Slot& slot) { return slot.shown && !is_fresh(slot, now_ns); });
}

std::vector<SeriesId> Latest::take_open() {
  return take([](const Slot& slot) { return slot.open; });
}

template <class Ends>
std::vector<SeriesId> Latest::take(const Ends& ends) {
  std::vector<SeriesId> ended;
  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    if (!ends(slot)) continue;
    slot.shown = slot.open = false;
    ended.push_back(slot.id);
  }
  std::sort(ended.begin(), ended.end());
  return ended;
}

std::size_t Latest::fresh(std::int64_t now_ns) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(slots_.begin(), slots_.end(), [&](const auto& slot) { return is_fresh(slot, now_ns); }));
}

void Latest::visit(std::int64_t now_ns, const Each& each) const {
  const std::lock_guard lock(mutex_);
  for (auto& [name, family] : families_) {
    arrange(family);
    for (const Line& line : family.lines) {
      const Slot& slot = slots_[place_of(line.id)];
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
