// A survey made by hand, for the tests of what `once` and `doctor` print.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "collectors/labels.hpp"
#include "daemon/commands/survey.hpp"

namespace perjoule {

struct HandSurvey {
  Survey survey;

  void show(const Metric& metric, std::string_view labels, double value) {
    const SeriesId id{static_cast<std::uint32_t>(count_++)};
    survey.latest.declare(id, metric, labels);
    const Sample sample{id, value};
    survey.latest.set(std::span(&sample, 1), 0, Latest::never_stale);
  }
  SourceStatus& source(std::string name, std::string device, std::optional<SourceState> state, std::string what = "",
                       std::string remedy = "") {
    SourceStatus status;
    status.source = std::move(name);
    status.device = std::move(device);
    status.state = state;
    status.what = std::move(what);
    status.remedy = std::move(remedy);
    survey.sources.push_back(std::move(status));
    return survey.sources.back();
  }
  void boards(std::size_t count, std::size_t answering) {
    for (unsigned slot = 0; slot < count; ++slot) {
      const std::string digit = std::to_string(slot);
      survey.boards.push_back({slot, "0000:" + digit + "0:00.0", "GPU-" + digit});
    }
    survey.gpus_expected = count;
    survey.gpus_answering = answering;
  }

 private:
  std::size_t count_ = 0;
};

}  // namespace perjoule
