#include "tests/nvml/scenario.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace perjoule::stand_in {

namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 43> quantities = {"power",
                                                         "power_average",
                                                         "power_instant",
                                                         "module_power",
                                                         "power_limit",
                                                         "energy",
                                                         "energy_start",
                                                         "power_limit_min",
                                                         "power_limit_max",
                                                         "power_limit_default",
                                                         "temperature",
                                                         "memory_temperature",
                                                         "slowdown",
                                                         "shutdown",
                                                         "core_max",
                                                         "memory_max",
                                                         "margin",
                                                         "margin_slowdown",
                                                         "utilization",
                                                         "memory_utilization",
                                                         "encoder",
                                                         "decoder",
                                                         "jpeg",
                                                         "ofa",
                                                         "memory_total",
                                                         "memory_reserved",
                                                         "memory_used",
                                                         "clock_sm",
                                                         "clock_memory",
                                                         "clock_video",
                                                         "idle",
                                                         "supported_reasons",
                                                         "processes",
                                                         "present",
                                                         "lost",
                                                         "hang",
                                                         "delay",
                                                         "sw_power_cap",
                                                         "sw_thermal",
                                                         "hw_thermal",
                                                         "hw_power_brake",
                                                         "hw_slowdown",
                                                         "sync_boost"};
constexpr std::array<std::string_view, 4> counters = {"board_limit", "reliability", "thermal", "any"};

template <class List>
bool holds(const List& list, std::string_view key) {
  for (std::string_view one : list) {
    if (one == key) return true;
  }
  return false;
}

class Reader {
 public:
  explicit Reader(std::vector<std::string>& problems) : problems_(problems) {}

  void refuse(const std::string& where, const std::string& why) { problems_.push_back(where + ": " + why); }

  Curve curve(const std::string& where, const json& value) {
    std::string problem;
    Curve curve = Curve::parse(value, problem);
    if (!problem.empty()) refuse(where, problem);
    return curve;
  }
  std::string text(const std::string& where, const json& value) {
    if (value.is_string()) return value.get<std::string>();
    refuse(where, "not a string");
    return {};
  }
  double number(const std::string& where, const json& value) {
    if (value.is_number()) return value.get<double>();
    refuse(where, "not a number");
    return 0;
  }
  bool flag(const std::string& where, const json& value) {
    if (value.is_boolean()) return value.get<bool>();
    refuse(where, "not true or false");
    return false;
  }

  void gpu(const std::string& where, const json& object, Gpu& to) {
    if (!object.is_object()) return refuse(where, "not an object");
    for (const auto& [key, value] : object.items()) {
      const std::string at = where + "." + key;
      if (key == "uuid")
        to.uuid = text(at, value);
      else if (key == "pci")
        to.pci = text(at, value);
      else if (key == "name")
        to.name = text(at, value);
      else if (key == "vbios")
        to.vbios = text(at, value);
      else if (key == "architecture")
        to.architecture = static_cast<std::uint32_t>(number(at, value));
      else if (key == "usage_is_mean")
        to.usage_is_mean = flag(at, value);
      else if (key == "counts_in_fields")
        to.counts_in_fields = flag(at, value);
      else if (key == "compute_capability")
        capability(at, value, to);
      else if (key == "pids")
        pids(at, value, to);
      else if (holds(quantities, key) || holds(counters, key))
        to.curves.insert_or_assign(key, curve(at, value));
      else
        refuse(at, "unknown key");
    }
  }

 private:
  void pids(const std::string& where, const json& value, Gpu& to) {
    if (!value.is_array()) return refuse(where, "not a list");
    to.pids.clear();
    for (const json& pid : value)
      to.pids.push_back(static_cast<std::uint32_t>(number(where, pid)));
  }
  void capability(const std::string& where, const json& value, Gpu& to) {
    if (!value.is_array() || value.size() != 2 || !value[0].is_number_integer() || !value[1].is_number_integer()) {
      return refuse(where, "not [major, minor]");
    }
    to.compute_major = value[0].get<int>();
    to.compute_minor = value[1].get<int>();
  }
  std::vector<std::string>& problems_;
};

void read_gpus(Reader& reader, const json& root, Scenario& scenario) {
  Gpu defaults;
  if (root.contains("defaults")) reader.gpu("defaults", root["defaults"], defaults);
  if (!root.contains("gpus") || !root["gpus"].is_array()) return reader.refuse("gpus", "missing, or not a list");
  for (std::size_t i = 0; i < root["gpus"].size(); ++i) {
    const std::string where = "gpus[" + std::to_string(i) + "]";
    Gpu gpu = defaults;
    reader.gpu(where, root["gpus"][i], gpu);
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    if (std::sscanf(gpu.pci.c_str(), "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4) {
      reader.refuse(where + ".pci", "not an address such as 0000:1b:00.0");
    }
    if (gpu.uuid.empty() || gpu.uuid.size() > 90) reader.refuse(where + ".uuid", "not a UUID");
    for (const Gpu& other : scenario.gpus) {
      if (other.uuid == gpu.uuid || other.pci == gpu.pci) reader.refuse(where, "same uuid or pci as another board");
    }
    scenario.gpus.push_back(std::move(gpu));
  }
}

}  // namespace

const Curve& Gpu::curve(const std::string& key) const {
  static const Curve unsupported = Curve::failing(3);
  const auto found = curves.find(key);
  return found == curves.end() ? unsupported : found->second;
}

Scenario parse(const std::string& text, std::vector<std::string>& problems) {
  Scenario scenario;
  Reader reader(problems);
  const json root = json::parse(text, nullptr, false, true);
  if (!root.is_object()) {
    reader.refuse("the file", "not a JSON object");
    return scenario;
  }
  for (const auto& [key, value] : root.items()) {
    if (key == "driver_version")
      scenario.driver_version = reader.text(key, value);
    else if (key == "init")
      scenario.init = reader.curve(key, value);
    else if (key == "init_delay")
      scenario.init_delay = reader.curve(key, value);
    else if (key == "driver")
      scenario.driver = reader.curve(key, value);
    else if (key == "energy_step")
      scenario.energy_step = reader.number(key, value);
    else if (key == "missing" && value.is_array())
      for (const auto& symbol : value)
        scenario.missing.insert(reader.text(key, symbol));
    else if (key != "gpus" && key != "defaults" && key != "about")
      reader.refuse(key, "unknown key");
  }
  read_gpus(reader, root, scenario);
  return scenario;
}

}  // namespace perjoule::stand_in
