// prometheus-cpp's instruments as lines of exposition, behind the headers that our own writer gives every family.
// Registry::Collect would copy every name, help and label at each scrape. Any thread that holds the list's lock.
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

// An instrument and its text up to the value.
template <class T>
struct Shown {
  const Metric* metric = nullptr;
  std::array<std::string, 2> headers;  // by Format
  std::string labels;                  // `{a="b"}`, or nothing
  T* instrument = nullptr;
};

// Those of one family are made one behind the other.
template <class T>
T& keep(std::vector<Shown<T>>& shown, const Metric& metric, const prometheus::Labels& labels, T& instrument);

template <class T>
void append_all(std::string& out, Format format, const Latest::Admit& admit, const std::vector<Shown<T>>& all);

}  // namespace perjoule
