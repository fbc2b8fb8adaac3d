#include "collectors/power/coefficients.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace perjoule {

namespace {

constexpr Coefficients sandy_bridge = {"Sandy Bridge", 2.212243200231481, 8.630870594765684};
constexpr Coefficients ivy_bridge = {"Ivy Bridge", 1.7074305555555556, 5.5569444444444445};
constexpr Coefficients haswell = {"Haswell", 1.8573529411764707, 5.595383986928105};
constexpr Coefficients broadwell = {"Broadwell", 0.7128342245989305, 3.685327540106952};
constexpr Coefficients skylake = {"Skylake", 0.6129888539040325, 4.104170352960531};
constexpr Coefficients cascade_lake = {"Cascade Lake", 0.6902978319127387, 4.063193520161689};
constexpr Coefficients coffee_lake = {"Coffee Lake", 1.138425925925926, 5.421759259259259};
constexpr Coefficients ice_lake = {"Ice Lake", 0.766796875, 3.7582031249999996};
constexpr Coefficients sapphire_rapids = {"Sapphire Rapids", 1.0362861003136936, 4.160476336606656};
constexpr Coefficients emerald_rapids = {"Emerald Rapids", 0.8140104166666666, 4.48203125};
constexpr Coefficients granite_rapids = {"Granite Rapids", 0.5815883902616279, 2.5274707237711422};
constexpr Coefficients epyc_1 = {"EPYC 1st generation", 0.8467881944444444, 2.6041666666666665};
constexpr Coefficients epyc_2 = {"EPYC 2nd generation", 0.4742621527777777, 1.6929615162037035};
constexpr Coefficients epyc_3 = {"EPYC 3rd generation", 0.45562453497023814, 1.957333519345238};
constexpr Coefficients epyc_4 = {"EPYC 4th generation", 0.7391482469512195, 2.282155106707317};
constexpr Coefficients average = {"average of all", 0.74, 3.5};

constexpr std::string_view nearest =
    "no usable values are published for this CPU; those of the nearest generation are used";
constexpr std::string_view unknown = "no values are published for this CPU; the average of all CPUs is used";

struct Models {
  std::string_view vendor;
  unsigned family;
  unsigned first;  // models, inclusive
  unsigned last;
  const Coefficients* coefficients;
  std::string_view note = {};
  unsigned stepping_first = 0;
  unsigned stepping_last = std::numeric_limits<unsigned>::max();
};

constexpr std::string_view intel = "GenuineIntel";
constexpr std::string_view amd = "AuthenticAMD";

constexpr Models models[] = {
    {intel, 6, 0x2a, 0x2a, &sandy_bridge},
    {intel, 6, 0x2d, 0x2d, &sandy_bridge},
    {intel, 6, 0x3a, 0x3a, &ivy_bridge},
    {intel, 6, 0x3e, 0x3e, &ivy_bridge},
    {intel, 6, 0x3c, 0x3c, &haswell},
    {intel, 6, 0x3f, 0x3f, &haswell},
    {intel, 6, 0x45, 0x46, &haswell},
    {intel, 6, 0x3d, 0x3d, &broadwell},
    {intel, 6, 0x47, 0x47, &broadwell},
    {intel, 6, 0x4f, 0x4f, &broadwell},
    {intel, 6, 0x56, 0x56, &broadwell},
    {intel, 6, 0x4e, 0x4e, &skylake},
    {intel, 6, 0x5e, 0x5e, &skylake},
    {intel, 6, 0x55, 0x55, &skylake, {}, 0, 4},
    {intel, 6, 0x55, 0x55, &cascade_lake, {}, 5, 9},
    {intel, 6, 0x55, 0x55, &cascade_lake, nearest, 10, 15},  // Cooper Lake
    {intel, 6, 0x9e, 0x9e, &skylake, nearest, 0, 9},         // Kaby Lake
    {intel, 6, 0x9e, 0x9e, &coffee_lake, {}, 10, 15},
    {intel, 6, 0x6a, 0x6a, &ice_lake},
    {intel, 6, 0x6c, 0x6c, &ice_lake},
    {intel, 6, 0x8f, 0x8f, &sapphire_rapids},
    {intel, 6, 0xcf, 0xcf, &emerald_rapids},
    {intel, 6, 0xad, 0xae, &granite_rapids},
    {amd, 0x17, 0x00, 0x2f, &epyc_1},
    {amd, 0x17, 0x50, 0x5f, &epyc_1},
    {amd, 0x17, 0x30, 0x4f, &epyc_2},
    {amd, 0x17, 0x60, 0x7f, &epyc_2},
    {amd, 0x17, 0x90, 0x91, &epyc_2},
    {amd, 0x17, 0xa0, 0xaf, &epyc_2},
    {amd, 0x19, 0x00, 0x0f, &epyc_3},
    {amd, 0x19, 0x20, 0x5f, &epyc_3},
    {amd, 0x19, 0x10, 0x1f, &epyc_4},
    {amd, 0x19, 0x60, 0xaf, &epyc_4},
    {amd, 0x1a, 0x00, 0x2f, &epyc_4, nearest},
    {amd, 0x1a, 0x40, 0x4f, &epyc_4, nearest},
    {amd, 0x1a, 0x70, 0x7f, &epyc_4, nearest},
};

struct NameWord {
  std::string_view word;
  const Coefficients* coefficients;
};
constexpr NameWord name_words[] = {
    {"SandyBridge", &sandy_bridge},
    {"IvyBridge", &ivy_bridge},
    {"Haswell", &haswell},
    {"Broadwell", &broadwell},
    {"Skylake", &skylake},
    {"Cascadelake", &cascade_lake},
    {"Icelake", &ice_lake},
    {"SapphireRapids", &sapphire_rapids},
    {"GraniteRapids", &granite_rapids},
    {"EPYC-Rome", &epyc_2},
    {"EPYC-Milan", &epyc_3},
    {"EPYC-Genoa", &epyc_4},
};

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

unsigned number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

}  // namespace

CpuIdentity parse_cpu_identity(std::string_view cpuinfo) {
  constexpr std::size_t text_max = 128;
  CpuIdentity cpu;
  while (!cpuinfo.empty()) {
    const std::size_t end = std::min(cpuinfo.find('\n'), cpuinfo.size());
    const std::string_view line = trim(cpuinfo.substr(0, end));
    cpuinfo.remove_prefix(std::min(end + 1, cpuinfo.size()));
    if (line.empty()) break;  // the next processor
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = trim(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1)).substr(0, text_max);
    if (key == "vendor_id") cpu.vendor = value;
    if (key == "model name") cpu.name = value;
    if (key == "cpu family") cpu.family = number(value);
    if (key == "model") cpu.model = number(value);
    if (key == "stepping") cpu.stepping = number(value);
  }
  return cpu;
}

CoefficientsChoice choose_coefficients(const CpuIdentity& cpu) {
  for (const Models& row : models) {
    const bool fits = cpu.vendor == row.vendor && cpu.family == row.family && cpu.model >= row.first &&
                      cpu.model <= row.last && cpu.stepping >= row.stepping_first && cpu.stepping <= row.stepping_last;
    if (fits) return {row.coefficients, row.note};
  }
  for (const NameWord& row : name_words) {
    if (cpu.name.find(row.word) != std::string::npos) return {row.coefficients, {}};
  }
  return {&average, unknown};
}

double modelled_watts(const PowerLine& thread, unsigned threads, double utilization) {
  return threads * (thread.idle_watts + (thread.max_watts - thread.idle_watts) * std::clamp(utilization, 0.0, 1.0));
}

}  // namespace perjoule
