#include "daemon/alerts/evaluate/term_state.hpp"

#include <algorithm>
#include <cmath>

namespace perjoule::alerts {

namespace {

// A fresh series whose timestamp does not advance is added to its window again this often, with the current time, as a
// Prometheus server would do at each scrape. Otherwise its window would run empty while /metrics still shows the value.
constexpr std::int64_t resample_ms = 5'000;

}  // namespace

bool TermState::matches(std::string_view metric, const Labels& labels) const {
  if (metric != term_.metric) return false;
  return std::all_of(term_.match.begin(), term_.match.end(), [&labels](const Match& match) {
    const auto label = std::find_if(labels.begin(), labels.end(),
                                    [&match](const auto& candidate) { return candidate.first == match.label; });
    return label != labels.end() &&
           std::find(match.values.begin(), match.values.end(), label->second) != match.values.end();
  });
}

std::size_t TermState::result(const Labels& labels) {
  const auto [found, fresh] = result_index_.emplace(labels, results_.size());
  if (fresh) results_.push_back({labels, std::nullopt, 0});
  return found->second;
}

std::size_t TermState::add(const Labels& labels) {
  const auto [found, fresh] = member_index_.emplace(labels, members_.size());
  if (!fresh) return found->second;
  Labels kept = labels;
  if (term_.aggregation != Aggregation::none) {
    std::erase_if(kept, [this](const auto& label) {
      return std::find(term_.by.begin(), term_.by.end(), label.first) == term_.by.end();
    });
  }
  members_.push_back({result(kept), {}, false, windows_.size()});
  if (windowed()) windows_.emplace_back(term_.function, term_.window_ms);
  return found->second;
}

std::vector<std::optional<std::size_t>> TermState::drop(const std::vector<char>& gone,
                                                        const std::set<std::size_t>& needed) {
  std::vector<std::optional<std::size_t>> moved(results_.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (gone[m] == 0) moved[members_[m].result] = 0;
  }
  std::vector<Result> results;
  for (std::size_t r = 0; r < results_.size(); ++r) {
    if (!moved[r] && !needed.contains(r)) continue;
    moved[r] = results.size();
    results.push_back(std::move(results_[r]));
  }
  std::vector<Member> members;
  std::vector<Window> windows;
  std::vector<std::size_t> moved_members(members_.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (gone[m] != 0) continue;
    Member& member = members_[m];
    if (windowed()) windows.push_back(std::move(windows_[member.window]));
    moved_members[m] = members.size();
    members.push_back({*moved[member.result], member.newest, member.seen, members.size()});
  }
  std::erase_if(member_index_, [&](const auto& member) { return gone[member.second] != 0; });
  for (auto& [labels, index] : member_index_)
    index = moved_members[index];
  std::erase_if(result_index_, [&](const auto& result) { return !moved[result.second]; });
  for (auto& [labels, index] : result_index_)
    index = *moved[index];
  results_ = std::move(results);
  members_ = std::move(members);
  windows_ = std::move(windows);
  return moved;
}

void TermState::observe(std::size_t member, const Observation& observation, std::int64_t now_ms) {
  Member& into = members_[member];
  if (windowed() && observation.fresh) {
    Window& window = windows_[into.window];
    const bool newer = !into.seen || observation.at_ms > into.newest.at_ms;
    if (newer) {
      window.add(observation.at_ms, observation.value);
    } else if (now_ms - window.newest_ms() >= resample_ms) {
      window.add(now_ms, observation.value);
    }
  }
  into.seen = into.seen || observation.fresh;
  if (into.seen) into.newest = observation;
}

std::optional<double> TermState::value(const Member& member, std::int64_t now_ms) const {
  if (!member.seen) return std::nullopt;
  if (term_.function == Function::last) {
    return member.newest.fresh ? std::optional(member.newest.value) : std::nullopt;
  }
  if (term_.function != Function::age) return windows_[member.window].value(now_ms);
  const std::int64_t age_ms = std::max<std::int64_t>(now_ms - std::max(member.newest.at_ms, member.newest.read_ms), 0);
  if (age_ms > term_.window_ms) return std::nullopt;
  return static_cast<double>(age_ms) / 1000;
}

void TermState::merge(Result& result, double value) const {
  result.weight += 1;
  if (!result.value) {
    result.value = term_.aggregation == Aggregation::count ? 1 : value;
    return;
  }
  switch (term_.aggregation) {
    case Aggregation::sum:
    case Aggregation::avg:
      *result.value += value;
      break;
    case Aggregation::min:
      result.value = std::min(*result.value, value);
      break;
    case Aggregation::max:
      result.value = std::max(*result.value, value);
      break;
    case Aggregation::count:
      *result.value += 1;
      break;
    case Aggregation::none:
      result.value = value;
      break;
  }
}

void TermState::compute(std::int64_t now_ms) {
  for (Result& result : results_) {
    result.value.reset();
    result.weight = 0;
  }
  for (const Member& member : members_) {
    if (const std::optional<double> known = value(member, now_ms)) merge(results_[member.result], *known);
  }
  if (term_.aggregation != Aggregation::avg) return;
  for (Result& result : results_) {
    if (result.value) *result.value /= result.weight;
  }
}

}  // namespace perjoule::alerts
