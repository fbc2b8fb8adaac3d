// The contents of a batch as lines of text, which a test compares:
//   perjoule_temperature_celsius{chip="x",sensor="temp1",role="cpu"} 45.5
//   perjoule_cpu_package_energy_joules_total{...} meter 12 wrap 100 max 95 package-0 counter rate perjoule_..._watts
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "collectors/batch.hpp"

namespace perjoule {

inline std::string series(const Batch& batch, const Reading& reading) {
  std::string text(reading.metric->name);
  for (std::size_t i = 0; i < reading.metric->label_count; ++i) {
    text += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", reading.metric->labels[i], batch.label(reading, i));
  }
  return reading.metric->label_count > 0 ? text + "}" : text;
}

inline std::string line(const Batch& batch, const Reading& reading) {
  const std::string rate = reading.rate != nullptr ? fmt::format(" rate {}", reading.rate->name) : "";
  const std::string name = series(batch, reading);
  const std::string tail =
      fmt::format("max {} {} {}{}", reading.rate_max, batch.device(reading), perjoule::name(reading.origin), rate);
  switch (reading.form) {
    case Reading::Form::value:
      return fmt::format("{} {}", name, reading.value);
    case Reading::Form::meter:
      return fmt::format("{} meter {} wrap {} {}", name, reading.raw, reading.wrap, tail);
    case Reading::Form::integral:
      return fmt::format("{} integrate {} {}", name, reading.value, tail);
  }
  return name;
}

inline std::vector<std::string> lines(const Batch& batch) {
  std::vector<std::string> all;
  for (const Reading& reading : batch.readings())
    all.push_back(line(batch, reading));
  std::sort(all.begin(), all.end());
  return all;
}

inline bool contains(const std::vector<std::string>& all, std::string_view wanted) {
  return std::find(all.begin(), all.end(), wanted) != all.end();
}

// Random bytes for a parser. Half of them are drawn from `alphabet`, so that some pass its first checks.
inline std::string hostile(std::mt19937_64& random, std::string_view alphabet, std::size_t size_max = 80) {
  std::string text(random() % (size_max + 1), '\0');
  for (char& c : text) {
    c = random() % 8 != 0 ? alphabet[random() % alphabet.size()] : static_cast<char>(random() % 256);
  }
  return text;
}

}  // namespace perjoule
