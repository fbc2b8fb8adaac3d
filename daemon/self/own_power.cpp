#include "daemon/self/own_power.hpp"

#include <thread>

#include "collectors/power/coefficients.hpp"
#include "collectors/sysfs.hpp"

namespace perjoule {

namespace {
constexpr std::size_t cpuinfo_bytes = std::size_t{4} << 20;
}

double watts_per_busy_cpu(const config::Settings& settings) {
  const config::PowerModel& model = settings.power_model;
  const unsigned threads = std::thread::hardware_concurrency();
  if (model.idle_watts && model.max_watts && threads > 0) return (*model.max_watts - *model.idle_watts) / threads;
  const Result<std::string> cpuinfo = sysfs::read_whole(settings.roots.procfs / "cpuinfo", cpuinfo_bytes);
  if (!cpuinfo) return 0;
  const Coefficients& coefficients = *choose_coefficients(parse_cpu_identity(*cpuinfo)).coefficients;
  return coefficients.max_watts - coefficients.idle_watts;
}

}  // namespace perjoule
