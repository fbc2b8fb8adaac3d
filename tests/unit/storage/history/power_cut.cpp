#include "tests/unit/storage/history/power_cut.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace perjoule::storage {

namespace {

using fakes::Survival;

constexpr std::pair<Survival, int> fates[] = {{Survival::none, 1}, {Survival::prefix, 3}, {Survival::half, 4}};

// Cuts the power a second time, while the store recovers from the first cut or just after.
void cut_again(const Script& script, fakes::Disk& disk, std::uint64_t seed, Course course, const std::string& where,
               PowerCuts& out) {
  disk.after_cut(seed, Survival::half);
  disk.cut_at(disk.operations() + 1 + seed % 40);
  {
    Notes notes;
    auto store = SqliteStore::open(history_on(disk), 1795515072000, notes);
    course.frames[script.spare()] = FrameState::offered;
    if (store && (*store)->append(script.fully_described(script.spare()))) {
      course.frames[script.spare()] = FrameState::acknowledged;
    }
  }
  if (!disk.is_cut()) return disk.cut_at(0);
  ++out.cut_again;
  disk.after_cut(seed + 1, Survival::half);
  ++out.examined;
  const std::string problem = examine(script, disk, course);
  if (!problem.empty()) out.problems.push_back(fmt::format("{}cut again: {}", where, problem));
}

void cut_at(const Script& script, std::uint64_t number, Phase phase, PowerCuts& out) {
  fakes::Disk disk(fakes::Disk::Memory::remembering);
  disk.cut_at(number);
  Player player(script, disk);
  player.play();
  const std::string where = fmt::format("seed {}, operation {} ({}): ", script.shape().seed, number, name(phase));
  if (!disk.is_cut()) {
    out.problems.push_back(where + "the script ended before this operation");
    return;
  }
  for (const auto& problem : player.problems())
    out.problems.push_back(where + problem);
  ++out.cuts[phase];
  const auto& states = player.course().frames;
  if (std::find(states.begin(), states.end(), FrameState::offered) != states.end()) ++out.unacknowledged;
  for (const auto& [survival, times] : fates) {
    for (int time = 0; time < times; ++time) {
      const auto seed = number * 100 + static_cast<std::uint64_t>(time);
      disk.after_cut(seed, survival);
      ++out.examined;
      const std::string problem = examine(script, disk, player.course());
      if (problem.empty()) continue;
      out.problems.push_back(fmt::format("{}{} {}: {}", where, name(survival), seed, problem));
    }
    if (disk.unsynced() == 0) break;  // all outcomes are the same
  }
  if (disk.unsynced() == 0) ++out.without_loss;
  cut_again(script, disk, number, player.course(), where, out);
}

}  // namespace

namespace {

// The operations of each phase on a disk without faults.
std::map<Phase, std::vector<std::uint64_t>> numbers_of(const Script& script) {
  const std::vector<Phase> rehearsed = rehearse(script);
  std::map<Phase, std::vector<std::uint64_t>> numbers;
  for (std::size_t at = 0; at < rehearsed.size(); ++at)
    numbers[rehearsed[at]].push_back(at + 1);
  return numbers;
}

}  // namespace

// Only a store with a tiny cache writes while it rolls up, so cuts in that phase use a script of their own.
void cut_power(const Shape& shape, int count, PowerCuts& out) {
  const Script script(shape);
  Shape spilling = shape;
  spilling.spills = true;
  const Script spilled(spilling);
  std::map<Phase, std::vector<std::uint64_t>> numbers = numbers_of(script);
  numbers[Phase::rollup] = numbers_of(spilled)[Phase::rollup];
  if (numbers[Phase::rollup].empty()) numbers.erase(Phase::rollup);
  std::mt19937_64 random(shape.seed);
  for (auto turn = numbers.begin(); count > 0; --count) {
    const auto& [phase, of_phase] = *turn;
    cut_at(phase == Phase::rollup ? spilled : script, of_phase[random() % of_phase.size()], phase, out);
    if (++turn == numbers.end()) turn = numbers.begin();
  }
}

}  // namespace perjoule::storage
