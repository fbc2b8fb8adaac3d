// kill_history [--kills=N] [--first=SEED]: kills (-9) a process that stores history: in turn inside a commit, a seal,
// its roll-ups and a retention pass, and at a random moment. Fails if one of the four phases gets less than a tenth of
// the kills.
//
// To be exactly inside a phase, the process kills itself before a chosen operation of its disk (tests/fakes/disk.hpp),
// or, for every other kill in the roll-ups, when a chosen statement about them begins. What was acknowledged to it is
// in memory shared with this process, which then opens the files and checks them.
#define DOCTEST_CONFIG_IMPLEMENT  // the random histories belong to the unit tests
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "tests/soak/arguments.hpp"
#include "tests/soak/recount.hpp"
#include "tests/unit/storage/history/script.hpp"

namespace {

using namespace perjoule;
using namespace perjoule::storage;

// What the killed process leaves in shared memory.
struct Shared {
  std::atomic<std::uint64_t> offered{0};  // frames
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::int64_t> oldest_ms{INT64_MIN};  // retention was asked to drop older samples
  std::atomic<Phase> phase{Phase::opening};
};

enum class Aim : std::uint8_t { operation, statement, any_moment };

// Where the process kills itself: before the `number`-th operation of its disk or statement of its roll-ups; 0: never.
struct Target {
  Aim aim = Aim::operation;
  std::uint64_t number = 0;
};

[[noreturn]] void kill_myself() {
  ::kill(::getpid(), SIGKILL);
  std::abort();  // not reached
}

// Does with a store what storage/writer.cpp does, for each frame of the script. Opens the files again now and then.
class Keeping {
 public:
  Keeping(const Script& script, fakes::Disk& disk, Shared& shared, Target target)
      : script_(script), disk_(disk), shared_(shared), target_(target), statements_([this](std::string_view sql) {
          on_statement(sql);
        }) {
    disk_.watch([this](std::uint64_t number, fakes::Operation operation, const std::string&) {
      if (target_.aim == Aim::operation && number == target_.number) kill_myself();
      const bool changes = operation != fakes::Operation::read && operation != fakes::Operation::open;
      if (changes) operations[phase()].push_back(number);
    });
  }
  ~Keeping() { disk_.watch({}); }
  Keeping(const Keeping&) = delete;
  Keeping& operator=(const Keeping&) = delete;

  // False: a call failed.
  bool run();

  std::map<Phase, std::vector<std::uint64_t>> operations;  // that change the files
  std::uint64_t statements = 0;                            // of roll-ups

 private:
  [[nodiscard]] Phase phase() const { return shared_.phase; }
  void enter(Phase phase) { shared_.phase = phase; }
  bool keep(SqliteStore& store, std::size_t frame, bool described);
  void on_statement(std::string_view sql) {
    if (phase() != Phase::seal && phase() != Phase::rollup) return;
    enter(is_rollup(sql) ? Phase::rollup : Phase::seal);
    if (phase() != Phase::rollup) return;
    ++statements;
    if (target_.aim == Aim::statement && statements == target_.number) kill_myself();
  }

  const Script& script_;
  fakes::Disk& disk_;
  Shared& shared_;
  Target target_;
  fakes::Statements statements_;
};

bool Keeping::run() {
  std::unique_ptr<SqliteStore> store;
  bool described = false;
  for (const auto& step : script_.steps()) {
    if (step.kind == Script::Step::Kind::reopen) {
      enter(Phase::closing);
      store.reset();
    }
    if (step.kind != Script::Step::Kind::append) continue;
    if (store == nullptr) {
      enter(Phase::opening);
      Notes notes;
      auto opened = SqliteStore::open(history_on(disk_), 1795515072000, notes);
      if (!opened || !notes.empty()) return false;
      store = std::move(*opened);
      if (script_.shape().spills) fakes::Statements::spill_early();
      described = false;
    }
    if (!keep(*store, step.frame, described)) return false;
    described = true;
  }
  enter(Phase::closing);
  return true;
}

bool Keeping::keep(SqliteStore& store, std::size_t frame, bool described) {
  enter(Phase::commit);
  ++shared_.offered;
  if (!store.append(described ? script_.frames()[frame] : script_.fully_described(frame))) return false;
  ++shared_.acknowledged;
  enter(Phase::seal);
  for (int call = 0; call < 2; ++call) {
    auto more = store.seal();
    if (!more) return false;
    if (!*more) break;
  }
  const std::int64_t keep_ms = script_.shape().keep_ms;
  shared_.oldest_ms = script_.last_ms(frame) - keep_ms;
  enter(Phase::retention);
  for (int call = 0; call < 4; ++call) {
    auto more = store.retain({.raw_ms = keep_ms, .minute_ms = keep_ms + 900'000, .hour_ms = keep_ms + 1'800'000});
    if (!more) return false;
    if (!*more) break;
  }
  return true;
}

struct Kills {
  std::map<Phase, int> in;
  int unacknowledged = 0;
  int at_any_moment = 0;
  int acknowledged_frames = 0;
  std::int64_t buckets = 0;
  std::vector<std::string> problems;
};

// Kills the process from outside, a little after a random number of acknowledgements.
void kill_at_any_moment(pid_t child, const Shared& shared, std::mt19937_64& random, std::size_t frames) {
  const std::uint64_t until = random() % frames;
  const auto ended = [child] {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == child;
  };
  while (shared.acknowledged < until && !ended())
    random.discard(100);
  random.discard(random() % 200'000);
  ::kill(child, SIGKILL);  // it was not reaped yet, so the pid is still its own
}

void look(const Script& script, const fakes::Disk& disk, const Shared& shared, const std::string& where, Kills& out) {
  Course course;
  course.frames.resize(script.frames().size());
  const std::uint64_t offered = shared.offered;
  for (std::uint64_t n = 0; n < offered; ++n)
    course.frames[n] = n < shared.acknowledged ? FrameState::acknowledged : FrameState::offered;
  course.oldest_ms = shared.oldest_ms;
  // A file that was being created may lack tables, which only a writer creates.
  const std::string recounted = shared.phase == Phase::opening ? "" : recount(history_on(disk), out.buckets);
  if (!recounted.empty()) out.problems.push_back(fmt::format("{}: {}", where, recounted));
  std::string problem = examine(script, disk, course);
  if (problem.empty()) problem = recount(history_on(disk), out.buckets);
  if (!problem.empty()) out.problems.push_back(fmt::format("{}: {}", where, problem));
}

void kill_once(const Script& script, Target target, Shared& shared, std::mt19937_64& random, Kills& out) {
  new (&shared) Shared;
  fakes::Disk disk;
  const pid_t child = ::fork();
  if (child == 0) {
    const bool went = Keeping(script, disk, shared, target).run();
    ::_exit(went ? 0 : 1);
  }
  if (target.aim == Aim::any_moment) kill_at_any_moment(child, shared, random, script.frames().size());
  int status = 0;
  const bool known = ::waitpid(child, &status, 0) == child;
  const bool killed = known && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  const std::string where = fmt::format("seed {}, {} {} of kind {}", script.shape().seed, name(shared.phase),
                                        target.number, static_cast<int>(target.aim));
  if (!killed) {
    if (target.aim != Aim::any_moment || (known && status != 0)) out.problems.push_back(where + ": it was not killed");
    return;
  }
  ++out.in[shared.phase];
  out.at_any_moment += target.aim == Aim::any_moment ? 1 : 0;
  out.unacknowledged += shared.offered > shared.acknowledged ? 1 : 0;
  out.acknowledged_frames += static_cast<int>(shared.acknowledged);
  look(script, disk, shared, where, out);
}

// Ten kills on each script: two in each phase, and two at any moment.
void kill_some(std::uint64_t seed, int count, Shared& shared, Kills& out) {
  Shape shape;
  shape.seed = seed;
  shape.frames = 150;
  shape.seconds = 40;
  shape.groups = 4;
  shape.keep_ms = 2'400'000;
  shape.reopen_every = 40;
  shape.spills = seed % 2 == 0;
  const Script script(shape);
  Shape spilling = shape;
  spilling.spills = true;
  const Script spilled(spilling);
  const auto rehearse_on = [&](const Script& each, std::uint64_t& statements) {
    new (&shared) Shared;
    fakes::Disk disk;
    Keeping keeping(each, disk, shared, {});
    if (!keeping.run()) out.problems.push_back(fmt::format("seed {}: the rehearsal failed", seed));
    statements = keeping.statements;
    return keeping.operations;
  };
  std::uint64_t statements = 0;
  auto operations = rehearse_on(script, statements);
  operations[Phase::rollup] = rehearse_on(spilled, statements)[Phase::rollup];
  std::mt19937_64 random(seed);
  for (int kill = 0; kill < count; ++kill) {
    constexpr Phase turns[] = {Phase::commit, Phase::seal, Phase::rollup, Phase::retention};
    const int turn = kill % 5;
    if (turn == 4) {
      kill_once(script, {Aim::any_moment, 0}, shared, random, out);
    } else if (turns[turn] == Phase::rollup && kill % 2 == 0) {
      kill_once(script, {Aim::statement, 1 + random() % statements}, shared, random, out);
    } else {
      const auto& of_phase = operations[turns[turn]];
      if (of_phase.empty()) continue;
      kill_once(turns[turn] == Phase::rollup ? spilled : script, {Aim::operation, of_phase[random() % of_phase.size()]},
                shared, random, out);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto kills = static_cast<int>(argument(argc, argv, "--kills=", 200));
  const std::uint64_t first = argument(argc, argv, "--first=", 1);
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto& shared = *new (memory) Shared;
  constexpr int per_script = 10;
  Kills out;
  const auto done = [&out] {
    int all = 0;
    for (const Phase phase : phases)
      all += out.in[phase];
    return all;
  };
  // A process may end before it is killed, so the number of scripts is limited.
  for (std::uint64_t seed = first; done() < kills && seed < first + static_cast<std::uint64_t>(kills); ++seed) {
    kill_some(seed, std::min(per_script, kills - done()), shared, out);
    fmt::print("seed {}: {} problems so far\n", seed, out.problems.size());
    std::fflush(stdout);
  }
  for (const auto& problem : out.problems)
    fmt::print("{}\n", problem);
  bool enough = done() >= kills;
  std::string line;
  for (const Phase phase : phases) {
    line += fmt::format(", {} {}", name(phase), out.in[phase]);
    const bool wanted =
        phase == Phase::commit || phase == Phase::seal || phase == Phase::rollup || phase == Phase::retention;
    enough = enough && (!wanted || out.in[phase] * 10 >= kills);
  }
  if (!enough) fmt::print("there were too few kills, or too few in a phase\n");
  fmt::print(
      "{} kills from seed {}{}; {} from outside at any moment; {} left a frame unacknowledged; {} frames had been "
      "acknowledged, {} buckets were counted again; {} problems\n",
      done(), first, line, out.at_any_moment, out.unacknowledged, out.acknowledged_frames, out.buckets,
      out.problems.size());
  return out.problems.empty() && enough ? 0 : 1;
}
