#include "daemon/commands/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "collectors/host/metrics.hpp"
#include "collectors/labels.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "config/text.hpp"
#include "daemon/efficiency/node_power.hpp"

namespace perjoule {

namespace {

constexpr std::size_t columns_max = 100;
constexpr std::size_t problem_lines_max = 12;
constexpr double gibibyte = 1024.0 * 1024.0 * 1024.0;

struct Line {
  std::string name;  // behind the number
  std::optional<double> watts, limit, celsius, memory_celsius, busy, used, total, hertz;
  std::string note;
};

struct ByNumber {
  bool operator()(const std::string& a, const std::string& b) const {
    return std::pair(a.size(), std::string_view(a)) < std::pair(b.size(), std::string_view(b));
  }
};

struct Lines {
  Line node;
  std::map<std::string, Line, ByNumber> packages;  // by the label `package`
  std::map<unsigned, Line> gpus;                   // by slot
  double modelled_watts = 0;
};

struct Cell {
  const Metric* metric;
  std::string_view label;  // "": any
  std::string_view value;
  std::optional<double> Line::*into;
};
constexpr std::array gpu_cells = {Cell{&gpu_power, "", "", &Line::watts},
                                  Cell{&gpu_power_limit, "", "", &Line::limit},
                                  Cell{&gpu_temperature, "sensor", "core", &Line::celsius},
                                  Cell{&gpu_temperature, "sensor", "memory", &Line::memory_celsius},
                                  Cell{&gpu_utilization, "", "", &Line::busy},
                                  Cell{&gpu_memory_used, "", "", &Line::used},
                                  Cell{&gpu_memory_total, "", "", &Line::total},
                                  Cell{&gpu_clock, "domain", "sm", &Line::hertz}};
constexpr std::array package_cells = {Cell{&cpu_package_power, "", "", &Line::watts},
                                      Cell{&cpu_utilization, "", "", &Line::busy},
                                      Cell{&cpu_clock, "", "", &Line::hertz}};

void note(Line& line, std::string_view what) {
  line.note += (line.note.empty() ? "" : " ") + std::string(what);
}

template <std::size_t N>
void fill(Line& line, const std::array<Cell, N>& cells, const Metric& metric, const Labels& labels, double value) {
  for (const Cell& cell : cells) {
    if (cell.metric == &metric && (cell.label.empty() || label_value(labels, cell.label) == cell.value))
      line.*(cell.into) = value;
  }
}

std::optional<unsigned> slot_of(const Labels& labels) {
  const std::string_view text = label_value(labels, "gpu");
  unsigned slot = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  return text.empty() || error != std::errc{} || end != text.data() + text.size() ? std::nullopt : std::optional(slot);
}

void take_gpu(Lines& lines, unsigned slot, const Metric& metric, const Labels& labels, double value) {
  Line& line = lines.gpus[slot];
  fill(line, gpu_cells, metric, labels, value);
  if (&metric == &gpu_info) {
    std::string_view model = label_value(labels, "name");
    if (model.starts_with("NVIDIA ")) model.remove_prefix(7);
    line.name = text::printable(model);
  }
  if (&metric == &gpu_throttle_active && value > 0) note(line, label_value(labels, "reason"));
}

// The package that a CPU's temperature belongs to: coretemp numbers its devices by package; with one package there is
// no doubt.
void take_temperature(Lines& lines, const Labels& labels, double celsius) {
  constexpr std::string_view numbered = "coretemp.";
  const std::string_view role = label_value(labels, "role");
  const std::string_view chip = label_value(labels, "chip");
  const auto hotter = [celsius](std::optional<double>& so_far) {
    so_far = std::max(so_far.value_or(celsius), celsius);
  };
  if (role == "inlet") hotter(lines.node.celsius);
  if (role != "cpu" || lines.packages.empty()) return;
  const auto package = lines.packages.size() == 1   ? lines.packages.begin()
                       : chip.starts_with(numbered) ? lines.packages.find(std::string(chip.substr(numbered.size())))
                                                    : lines.packages.end();
  if (package != lines.packages.end()) hotter(package->second.celsius);
}

Lines lines_of(const Survey& survey) {
  Lines lines;
  std::vector<std::pair<Labels, double>> temperatures;
  survey.latest.visit(survey.steady_ns, [&](const Metric& metric, std::string_view text, double value) {
    const Labels labels = parse_labels(text).value_or(Labels{});
    if (const auto slot = slot_of(labels)) return take_gpu(lines, *slot, metric, labels, value);
    if (&metric == &node_modelled_power) lines.modelled_watts = value;
    if (&metric == &node_power) {
      lines.node.watts = value;
      lines.node.note = label_value(labels, "source");
    }
    if (&metric == &sensor_temperature) temperatures.emplace_back(labels, value);
    const bool of_package = std::any_of(package_cells.begin(), package_cells.end(),
                                        [&](const Cell& cell) { return cell.metric == &metric; });
    if (!of_package) return;
    Line& line = lines.packages[std::string(label_value(labels, "package"))];
    fill(line, package_cells, metric, labels, value);
    if (label_value(labels, "source") != name(NodeSource::modelled)) return;
    note(line, name(NodeSource::modelled));
  });
  for (const auto& [labels, celsius] : temperatures)
    take_temperature(lines, labels, celsius);
  return lines;
}

// Rounded up, so that what is 100 % measured has no modelled part.
double modelled_percent(const Lines& lines) {
  if (!lines.node.watts || *lines.node.watts <= 0) return 0;
  return std::ceil(100 * std::clamp(lines.modelled_watts / *lines.node.watts, 0.0, 1.0));
}

std::string watts(const std::optional<double>& value) {
  if (!value) return "";
  return fmt::format("{:.{}f} W", *value, *value < 10 ? 2 : 1);
}

std::string whole(const std::optional<double>& value, std::string_view unit) {
  return value ? fmt::format("{:.0f} {}", *value, unit) : "";
}

std::string percent(const std::optional<double>& ratio) {
  if (!ratio) return "";
  const double share = 100 * *ratio;
  return fmt::format("{:.{}f} %", share, share < 10 && share > 0 ? 1 : 0);
}

std::string memory(const std::optional<double>& used, const std::optional<double>& total) {
  if (!used || !total) return "";
  const double gib = *used / gibibyte;
  return fmt::format("{:.{}f}/{:.1f} GiB", gib, gib < 10 ? 2 : 1, *total / gibibyte);
}

std::string gigahertz(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f} GHz", *value / 1e9) : "";
}

std::string cut(std::string_view text, std::size_t size) {
  if (text.size() <= size) return std::string(text);
  return fmt::format("{}..", text.substr(0, size - 2));
}

std::string columns(const std::array<std::string, 9>& of) {
  std::string line = fmt::format("{:<21} {:>9} {:>6} {:>5} {:>5} {:>5} {:>15} {:>9}  ", cut(of[0], 21), of[1], of[2],
                                 of[3], of[4], of[5], of[6], of[7]);
  line += cut(of[8], columns_max - line.size());
  return line.erase(line.find_last_not_of(' ') + 1) + '\n';
}

std::string row(std::string_view device, const Line& line) {
  return columns({fmt::format("{} {}", device, line.name), watts(line.watts), whole(line.limit, "W"),
                  whole(line.celsius, "C"), whole(line.memory_celsius, "C"), percent(line.busy),
                  memory(line.used, line.total), gigahertz(line.hertz), line.note});
}

// A GPU that does not answer has its line too.
void add_silent(Lines& lines, const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    if (!finding.slot || !finding.problem) continue;
    Line& line = lines.gpus[*finding.slot];
    if (line.name.empty()) line.name = finding.address;
    note(line, name(finding.condition));
  }
}

}  // namespace

std::string verdict(const Survey& survey, const std::vector<Finding>& findings) {
  if (std::string found = problems(findings); !found.empty()) return found;
  const Lines lines = lines_of(survey);
  std::string said =
      survey.gpus_expected == 0 ? "no GPU" : fmt::format("{} of {} GPUs", survey.gpus_answering, survey.gpus_expected);
  if (!lines.node.watts) return fmt::format("OK: {}, power unknown", said);
  // A meter or the power supplies measure what the model estimates.
  return fmt::format("OK: {}, {:.0f} % of power measured", said, 100 - modelled_percent(lines));
}

std::string table(const Survey& survey, const std::vector<Finding>& findings) {
  Lines lines = lines_of(survey);
  add_silent(lines, findings);
  std::string text = verdict(survey, findings) + "\n\n";
  text += columns({"DEVICE", "POWER", "LIMIT", "TEMP", "MEM", "BUSY", "MEMORY", "CLOCK", "NOTE"});
  Line node = lines.node;
  const double modelled = modelled_percent(lines);
  if (modelled > 0 && modelled < 100) node.note = fmt::format("{:.0f} % modelled", modelled);
  text += row("node", node);
  for (const auto& [package, line] : lines.packages)
    text += row("cpu " + package, line);
  for (const auto& [slot, line] : lines.gpus)
    text += row(fmt::format("gpu {}", slot), line);
  std::size_t said = 0;
  for (const Finding& finding : findings) {
    if (!finding.problem) continue;
    if (said++ == 0) text += '\n';
    if (said > problem_lines_max) break;
    text += cut(fmt::format("{}: {}, {}", title(finding), name(finding.condition), text::printable(finding.what)),
                columns_max) +
            '\n';
  }
  if (said > 0) text += "`perjouled doctor` has the remedies.\n";
  return text;
}

}  // namespace perjoule
