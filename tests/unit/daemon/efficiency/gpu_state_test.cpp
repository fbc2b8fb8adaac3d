#include "daemon/efficiency/gpu_state.hpp"

#include <doctest/doctest.h>

#include <random>
#include <utility>

#include "daemon/efficiency/gpu_account.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t minute_ns = 60 * second_ns;

GpuReading reading(double utilization, double processes, bool clock_idle, double watts = 70) {
  return {utilization, {}, processes, clock_idle, watts, 700};
}

}  // namespace

TEST_CASE("the state that one reading indicates") {
  CHECK(looks_like(reading(0, 0, true), {}) == GpuState::deep_idle);
  CHECK(looks_like(reading(0, 2, true), {}) == GpuState::parked);
  CHECK(looks_like(reading(0, 0, false), {}) == GpuState::parked);
  CHECK(looks_like(reading(0.5, 2, false), {}) == GpuState::active);
  CHECK(looks_like(reading(0.5, 0, false), {}) == GpuState::active);
  // Little work at high power; the threshold is 70 + 0.2 * (700 - 70) = 196 W.
  CHECK(looks_like(reading(0.04, 1, false, 197), 70) == GpuState::execution_idle);
  CHECK(looks_like(reading(0.04, 1, false, 196), 70) == GpuState::active);
  CHECK(looks_like(reading(0.05, 1, false, 300), 70) == GpuState::active);
  CHECK(looks_like(reading(0.04, 0, false, 300), 70) == GpuState::active);
  CHECK(looks_like(reading(0.04, 1, false, 300), {}) == GpuState::active);

  SUBCASE("missing values do not keep a GPU from deep idle, nor make it execution_idle") {
    GpuReading silent;
    CHECK_FALSE(looks_like(silent, 70));
    silent.utilization = 0;
    CHECK(looks_like(silent, 70) == GpuState::deep_idle);
    silent.utilization = 0.01;
    CHECK(looks_like(silent, 70) == GpuState::active);
  }
}

TEST_CASE("spinning: kernels that run all the time, move no memory and draw little") {
  const auto spins = [](double utilization, double memory, double watts, double processes = 1) {
    GpuReading read = reading(utilization, processes, false, watts);
    read.memory_utilization = memory;
    return looks_like(read, 70) == GpuState::spinning;
  };
  // The threshold is 70 + 0.25 * (700 - 70) = 227.5 W.
  CHECK(spins(1, 0, 150));
  CHECK(spins(0.9, 0.04, 227));
  CHECK_FALSE(spins(0.89, 0, 150));
  CHECK_FALSE(spins(1, 0.05, 150));
  CHECK_FALSE(spins(1, 0, 228));
  CHECK_FALSE(spins(1, 0, 150, 0));
  CHECK(looks_like(reading(1, 1, false, 150), 70) == GpuState::active);  // its memory is not known
  GpuReading read = reading(1, 1, false, 150);
  read.memory_utilization = 0;
  CHECK(looks_like(read, {}) == GpuState::active);
}

TEST_CASE("without utilisation the driver's reason and the processes decide, and where they do not nothing does") {
  const auto seen = [](std::optional<bool> clock_idle, std::optional<double> processes) {
    GpuReading read;
    read.clock_idle = clock_idle;
    read.processes = processes;
    return looks_like(read, 70);
  };
  CHECK(seen(true, 0) == GpuState::deep_idle);
  CHECK(seen(true, 1) == GpuState::parked);
  CHECK(seen(true, {}) == GpuState::deep_idle);
  CHECK(seen(false, 0) == GpuState::parked);
  CHECK(seen(false, 1) == GpuState::active);
  CHECK(seen(false, {}) == GpuState::active);
  CHECK(seen({}, 0) == GpuState::deep_idle);
  CHECK_FALSE(seen({}, 1));
  CHECK_FALSE(seen({}, {}));
  GpuReading suspended;
  suspended.suspended = true;
  CHECK(looks_like(suspended, {}) == GpuState::asleep);
}

TEST_CASE("an idle state is entered after its condition has held, and left for active at once") {
  GpuStates states(GpuState::active);
  std::int64_t now_ns = 0;
  const auto step = [&](std::optional<GpuState> seen, bool is_gap = false) {
    now_ns += second_ns;
    return states.step(seen, now_ns, minute_ns, is_gap);
  };
  for (int second = 0; second < 60; ++second)
    CHECK(step(GpuState::deep_idle) == GpuState::active);
  CHECK(step(GpuState::deep_idle) == GpuState::active);  // the time before the switch stays with the old state
  CHECK(step(GpuState::deep_idle) == GpuState::deep_idle);
  CHECK(step(GpuState::active) == GpuState::active);
  CHECK(step(GpuState::deep_idle) == GpuState::active);

  SUBCASE("one other reading restarts the wait") {
    for (int second = 0; second < 59; ++second)
      CHECK(step(GpuState::parked) == GpuState::active);
    CHECK(step(GpuState::active) == GpuState::active);
    for (int second = 0; second < 61; ++second)
      CHECK(step(GpuState::parked) == GpuState::active);
    CHECK(step(GpuState::parked) == GpuState::parked);
  }
  SUBCASE("a reading without a state keeps the state and restarts the wait") {
    for (int second = 0; second < 59; ++second)
      CHECK(step(GpuState::parked) == GpuState::active);
    CHECK(step({}) == GpuState::active);
    for (int second = 0; second < 61; ++second)
      CHECK(step(GpuState::parked) == GpuState::active);
    CHECK(states.current() == GpuState::parked);
  }
  SUBCASE("a gap belongs to the state before it, and restarts the wait") {
    for (int second = 0; second < 70; ++second)
      CHECK(step(GpuState::parked) == (second < 61 ? GpuState::active : GpuState::parked));
    now_ns += 3600 * second_ns;
    CHECK(step(GpuState::deep_idle, true) == GpuState::parked);
    CHECK(step(GpuState::deep_idle) == GpuState::parked);
    now_ns += 3600 * second_ns;
    CHECK(step(GpuState::active, true) == GpuState::parked);
    CHECK(step(GpuState::active) == GpuState::active);
  }
}

TEST_CASE("only the names of states are read back as states") {
  for (const GpuState state : gpu_states)
    CHECK(gpu_state_of(name(state)) == state);
  CHECK_FALSE(gpu_state_of(""));
  CHECK_FALSE(gpu_state_of("idle"));
}

TEST_CASE("for any readings the states add up to all time and energy, to the last unit") {
  std::mt19937_64 random(3);
  for (int run = 0; run < 50; ++run) {
    GpuAccount account(GpuState::active, IdleFloor{});
    std::int64_t now_ns = 0;
    std::int64_t observed_us = 0;
    std::int64_t booked_uj = 0;
    std::array<std::int64_t, gpu_states.size()> time_us{};
    std::array<std::int64_t, gpu_states.size()> energy_uj{};
    std::int64_t waste_uj = 0;
    std::int64_t slept_us = 0;
    for (int tick = 0; tick < 2000; ++tick) {
      const bool is_gap = random() % 200 == 0;
      GpuInterval interval;
      interval.interval_us = 1 + static_cast<std::int64_t>(random() % (is_gap ? 100'000'000 : 2'000'000));
      interval.unobserved_us =
          random() % 20 == 0 ? interval.interval_us / static_cast<std::int64_t>(1 + random() % 3) : 0;
      interval.booked_uj = interval.unobserved_us == interval.interval_us
                               ? 0
                               : interval.interval_us * static_cast<std::int64_t>(60 + random() % 600);
      now_ns += interval.interval_us * 1000;
      GpuReading spins = reading(1, 1, false, 150);
      spins.memory_utilization = 0;
      const GpuReading phases[] = {reading(0, 0, true), reading(0, 1, true, 140), reading(0.03, 1, false, 300), spins,
                                   reading(0.9, 1, false, 600)};
      GpuReading read = phases[tick / 120 % 5];
      if (tick / 600 % 2 == 1 && tick % 600 < 20) {  // it sleeps, and nothing is booked
        const GpuAccount::Entry asleep = account.suspended(now_ns);
        time_us[static_cast<std::size_t>(GpuState::asleep)] += asleep.time_us;
        slept_us += interval.interval_us;
        continue;
      }
      interval.interval_us += std::exchange(slept_us, 0);
      if (random() % 100 == 0) read.utilization.reset();
      const GpuAccount::Entry entry = account.add(interval, read, now_ns, 10 * second_ns, 70);
      time_us[static_cast<std::size_t>(*entry.state)] += entry.time_us;
      energy_uj[static_cast<std::size_t>(*entry.state)] += entry.energy_uj;
      CHECK(entry.waste_uj >= 0);
      CHECK(entry.waste_uj <= entry.energy_uj);
      waste_uj += entry.waste_uj;
      observed_us += interval.interval_us - interval.unobserved_us;
      booked_uj += interval.booked_uj;
    }
    std::int64_t time_sum = 0;
    std::int64_t energy_sum = 0;
    for (std::size_t i = 0; i < gpu_states.size(); ++i) {
      CHECK(time_us[i] > 0);
      time_sum += time_us[i];
      energy_sum += energy_uj[i];
    }
    CHECK(time_sum == observed_us);
    CHECK(energy_sum == booked_uj);
    CHECK(waste_uj > 0);
    CHECK(waste_uj <= energy_uj[static_cast<std::size_t>(GpuState::parked)] +
                          energy_uj[static_cast<std::size_t>(GpuState::execution_idle)] +
                          energy_uj[static_cast<std::size_t>(GpuState::spinning)]);
  }
}
