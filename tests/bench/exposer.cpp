// A peer: a thousand series served by prometheus-cpp's Exposer on a free loopback port. Prints the port; ends when its
// standard input ends.
#include <fmt/format.h>
#include <prometheus/exposer.h>

#include <cstdio>
#include <memory>

#include "tests/bench/series.hpp"

int main() {
  using namespace perjoule;
  const std::vector<bench::Shown> series = bench::shown_series(1000);
  const auto registry = std::make_shared<prometheus::Registry>();
  const std::vector<prometheus::Gauge*> gauges = bench::register_all(*registry, series);
  bench::Values values;
  for (std::size_t i = 0; i < gauges.size(); ++i)
    gauges[i]->Set(values.next(*series[i].metric));
  prometheus::Exposer exposer("127.0.0.1:0");
  exposer.RegisterCollectable(registry);
  fmt::print("{}\n", exposer.GetListeningPorts().front());
  std::fflush(stdout);
  while (std::getchar() != EOF)
    continue;
}
