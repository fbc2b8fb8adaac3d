// Writes the values of prometheus-cpp's instruments in both exposition formats, under the headers of family_header().
// prometheus-cpp's own way, Registry::Collect, copies every name, help and label at each scrape. Any thread that holds
// the lock of the list (daemon/self/instruments.cpp).
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <array>
#include <string>
#include <vector>

#include "collectors/metric.hpp"
#include "daemon/record/latest.hpp"

namespace perjoule {

// An instrument and the parts of its lines that do not change.
template <class T>
struct Shown {
  const Metric* metric = nullptr;
  std::array<std::string, 2> headers;  // by Format
  std::string labels;                  // `{a="b"}`, or ""
  T* instrument = nullptr;
};

// Adds an instrument to `shown` and returns it. All instruments of one family must be added in sequence, because
// append_all writes a header wherever the family changes.
template <class T>
T& keep(std::vector<Shown<T>>& shown, const Metric& metric, const prometheus::Labels& labels, T& instrument);

// Appends the families that `admit` accepts (without it: all).
template <class T>
void append_all(std::string& out, Format format, const Latest::Admit& admit, const std::vector<Shown<T>>& all);

// The parts of a histogram as series of their own. Their metrics live as long as the process.
void visit_parts(const Shown<prometheus::Histogram>& shown, const Latest::Each& each);

}  // namespace perjoule
