#include "daemon/self/own_series.hpp"

#include <string>

namespace perjoule {

void keep_instruments(Recorder& recorder, const Instruments& instruments, bool histograms) {
  const auto keep = [&](const Metric& metric, std::string_view labels, double value) {
    recorder.keep_own(metric, std::string(labels), value);
  };
  instruments.visit(keep);
  if (histograms) instruments.visit_histograms(keep);
  recorder.keep_own(up, "", 1);
}

}  // namespace perjoule
