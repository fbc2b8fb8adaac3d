#include "daemon/alerts/choice.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace perjoule::alerts {

namespace {

// A number in the order of rank: the gravest alert has the lowest.
struct Rank {
  int severity = 0;  // negative, so that the gravest comes first
  std::size_t place = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

}  // namespace

Subject subject(const Alert& alert) {
  bool labelled = false;
  for (const char* const name : {"uuid", "gpu"}) {
    const auto found = std::find_if(alert.labels.begin(), alert.labels.end(),
                                    [name](const auto& label) { return label.first == name; });
    if (found == alert.labels.end()) continue;
    labelled = true;
    if (!found->second.empty()) return {*name == 'g' ? "gpu " + found->second : found->second, true};
  }
  return {labelled ? label_text(alert.labels) : std::string(), false};
}

// The alert of the lowest rank per cause and subject stands for the others of that subject, and that of the node for
// all. So one pass finds the lowest ranks, and a second one compares.
std::vector<Alert> choose(std::vector<Alert> firing, std::string_view min_severity) {
  std::map<std::pair<std::string, std::string>, Rank> lowest;
  std::vector<Subject> subjects;
  const auto rank = [&firing](std::size_t place) { return Rank{-severity_rank(firing[place].severity), place}; };
  for (std::size_t i = 0; i < firing.size(); ++i) {
    subjects.push_back(subject(firing[i]));
    if (firing[i].cause.empty()) continue;
    const auto [found, fresh] = lowest.emplace(std::pair(firing[i].cause, subjects[i].name), rank(i));
    if (!fresh) found->second = std::min(found->second, rank(i));
  }
  const auto stands_for = [&](const std::string& whose, std::size_t place) {
    const auto found = lowest.find({firing[place].cause, whose});
    return found != lowest.end() && found->second < rank(place);
  };
  std::vector<Alert> chosen;
  for (std::size_t i = 0; i < firing.size(); ++i) {
    if (severity_rank(firing[i].severity) < severity_rank(min_severity)) continue;
    const bool covered =
        !firing[i].cause.empty() && (stands_for(subjects[i].name, i) || (subjects[i].is_gpu && stands_for("", i)));
    if (!covered) chosen.push_back(std::move(firing[i]));
  }
  return chosen;
}

}  // namespace perjoule::alerts
