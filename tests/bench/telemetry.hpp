// The telemetry with which storage is measured: a model of a GPU cluster's hosts, a sample per second.
//
// A host is one group of 84 series: four GPUs of fourteen, two processor packages of eight, a management controller of
// twelve. In a thousand series: power at 1 mW 120 and at 1 W 36, temperature at 1 degree 156 and at 1/8 degree 33,
// utilisation 120, energy in mJ 48 and in uJ (of 61 uJ quanta) 48, clocks 120, fans 44, memory 48, voltages 11, and 216
// constant. A GPU is idle, serves bursts (four seconds on, six off) or trains with dips; its power has a noise of
// 0.18 W idle and 2 to 9 W under load, its temperatures follow with a lag, its energy is the integral of power over the
// actual interval. Timestamps are 0 to 3 ms late. The same seed gives the same telemetry.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "collectors/metric.hpp"

namespace perjoule::bench {

enum class Shape : std::uint8_t {
  power_milliwatt,
  power_watt,
  temperature,
  temperature_eighth,
  utilization,
  energy_millijoule,
  energy_microjoule,
  clock,
  fan,
  memory,
  voltage,
  constant,
};

inline constexpr std::int64_t telemetry_start_ms = 1'795'424'400'000;
inline constexpr std::size_t host_series = 84;

class Host {
 public:
  explicit Host(std::uint64_t seed) : random_(seed), gpus_(4), packages_(2) {
    for (Load& gpu : gpus_)
      start(gpu, 75 + uniform() * 20, 700);
    for (Load& package : packages_)
      start(package, 60 + uniform() * 10, 350);
    for (double& rpm : fans_)
      rpm = 5000 + 60 * std::floor(uniform() * 20);
  }

  // How late the tick is: 0 to 3 ms, most often 0.
  std::int64_t lateness_ms() {
    const double roll = uniform();
    return roll < 0.55 ? 0 : roll < 0.88 ? 1 : roll < 0.97 ? 2 : 3;
  }

  // One tick, `seconds` after the previous one. Both get host_series elements.
  void tick(double seconds, std::vector<double>& values, std::vector<Shape>& shapes) {
    values.clear();
    shapes.clear();
    const auto add = [&](Shape shape, double value) {
      shapes.push_back(shape);
      values.push_back(value);
    };
    double total = 220;
    for (std::size_t n = 0; n < gpus_.size(); ++n) {
      Load& gpu = gpus_[n];
      step(gpu, seconds);
      total += gpu.watts;
      add(Shape::power_milliwatt, std::round(gpu.watts * 1e3) / 1e3);
      add(Shape::power_milliwatt, std::round(gpu.average_watts * 1e3) / 1e3);
      add(Shape::temperature, std::round(gpu.celsius));
      add(Shape::temperature, std::round(gpu.slow_celsius));
      add(Shape::utilization, std::round(gpu.busy * 100) / 100);
      add(Shape::utilization, std::round(std::clamp(gpu.busy * (0.45 + 0.02 * gpu.noise), 0.0, 1.0) * 100) / 100);
      add(Shape::energy_millijoule, std::floor(gpu.joules * 1e3) / 1e3);
      add(Shape::clock, gpu.busy > 0.5 ? 1980e6 - (gpu.noise > 1.6 ? 15e6 : 0) : 345e6);
      add(Shape::clock, gpu.busy > 0.05 ? 2619e6 : 1593e6);
      add(Shape::memory, (gpu.job == Job::idle ? 520.0 : 61'440.0 + std::floor(gpu.phase / 40) * 2) * 1048576);
      for (const double limit : {700.0, 87.0, 4.0, 85'520'809'984.0})
        add(Shape::constant, limit);
    }
    for (Load& package : packages_) {
      step(package, seconds);
      total += package.watts;
      add(Shape::energy_microjoule, quanta(package.joules));
      add(Shape::energy_microjoule, quanta(package.joules * 0.13));
      add(Shape::power_milliwatt, std::round(package.watts * 1e3) / 1e3);
      add(Shape::temperature, std::round(package.celsius));
      add(Shape::temperature, std::round(package.slow_celsius));
      add(Shape::utilization, std::round(package.busy * 100) / 100);
      add(Shape::clock, package.busy > 0.5 ? 3.1e9 : 2.4e9 + std::round(package.noise * 4) * 25e6);
      add(Shape::constant, 350);
    }
    inlet_ += (24 + normal() * 0.4 - inlet_) * seconds / 120;
    add(Shape::power_watt, std::round(total * 1.06));
    add(Shape::power_watt, std::round(total * 0.53 + normal()));
    add(Shape::power_watt, std::round(total * 0.53 - normal()));
    add(Shape::temperature, std::round(inlet_));
    for (const double above : {0.0, 6.5, 11.25})
      add(Shape::temperature_eighth, std::round((inlet_ + above + total / 900) * 8) / 8);
    for (double& rpm : fans_) {
      const double wanted = 4000 + total * 1.5;
      if (std::fabs(wanted - rpm) > 150) rpm += wanted > rpm ? 60 : -60;
      if (uniform() < 0.05) rpm += uniform() < 0.5 ? 60 : -60;
      add(Shape::fan, rpm);
    }
    add(Shape::voltage, std::round((12.14 - total / 60'000 + normal() * 0.004) * 100) / 100);
  }

 private:
  enum class Job : std::uint8_t { idle, inference, training };
  struct Load {
    Job job = Job::idle;
    double idle_watts = 0;
    double most_watts = 0;
    double phase = 0;  // seconds in this job
    double busy = 0;   // 0 to 1
    double noise = 0;  // of this tick, in standard deviations
    double watts = 0;
    double average_watts = 0;
    double celsius = 35;
    double slow_celsius = 35;
    double joules = 0;
  };

  void start(Load& load, double idle_watts, double most_watts) {
    load.idle_watts = load.watts = load.average_watts = idle_watts;
    load.most_watts = most_watts;
    load.joules = 1e6 * uniform();
    load.job = static_cast<Job>(random_() % 3);
  }

  void step(Load& load, double seconds) {
    load.phase += seconds;
    if (uniform() < seconds / 600) {
      load.job = static_cast<Job>(random_() % 3);
      load.phase = 0;
    }
    double wanted = 0;
    if (load.job == Job::inference) wanted = std::fmod(load.phase, 10) < 4 ? 0.8 : 0.02;
    if (load.job == Job::training) wanted = std::fmod(load.phase, 45) < 42 ? 0.98 : 0.3;
    load.busy = wanted > 0 ? std::clamp(wanted + normal() * 0.012, 0.0, 1.0) : 0;
    load.noise = normal();
    const double sigma = load.busy < 0.05 ? 0.18 : 2 + 7 * load.busy;
    const double before = load.watts;
    load.watts = load.idle_watts + (load.most_watts - load.idle_watts) * wanted * 0.93 + load.noise * sigma;
    load.average_watts += (load.watts - load.average_watts) * std::min(1.0, seconds / 2);
    load.joules += (before + load.watts) / 2 * seconds;
    load.celsius += (30 + load.watts / 14 - load.celsius) * seconds / 25;
    load.slow_celsius += (34 + load.watts / 12 - load.slow_celsius) * seconds / 120;
  }

  // RAPL counts units of 2^-14 J, which sysfs reports in whole microjoules.
  static double quanta(double joules) { return std::floor(std::floor(joules * 16384) * 1e6 / 16384) / 1e6; }

  // Not std::normal_distribution, whose algorithm differs between standard libraries.
  double uniform() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }
  double normal() {
    double sum = -6;
    for (int n = 0; n < 12; ++n)
      sum += uniform();
    return sum;
  }

  std::mt19937_64 random_;
  std::vector<Load> gpus_;
  std::vector<Load> packages_;
  std::vector<double> fans_ = std::vector<double>(4);
  double inlet_ = 24;
};

}  // namespace perjoule::bench
