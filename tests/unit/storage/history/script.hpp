// A random history as a script of steps, played on a store that lies on a hostile disk, and what has to be there after.
//
// The player does what storage/writer.cpp does: a store that is broken is opened anew, what was refused is offered
// again, and errors of sealing and retention are left for the next call. It never throws and asserts nothing: problems
// are lines, so that tests and soaks can use it. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/history/sqlite_store.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/fakes/statements.hpp"

namespace perjoule::storage {

// What the store was doing. rollup: the part of a seal whose statements are about roll_1m and roll_1h, told apart where
// a script spills. checkpoint: the part of a commit, a seal, a retention or a close that writes the database.
enum class Phase : std::uint8_t { opening, commit, seal, rollup, retention, closing, checkpoint };
inline constexpr Phase phases[] = {Phase::opening,   Phase::commit,  Phase::seal,      Phase::rollup,
                                   Phase::retention, Phase::closing, Phase::checkpoint};
[[nodiscard]] const char* name(Phase phase);

// What a store is asked between two commits. A store that does not seal has nothing to do.
template <class AnyStore>
constexpr bool seals = requires(AnyStore& store) {
  store.seal();
};
template <class AnyStore>
[[nodiscard]] Result<bool> seal(AnyStore& store) {
  if constexpr (seals<AnyStore>) {
    return store.seal();
  } else {
    return false;
  }
}

struct Shape {
  std::uint64_t seed = 1;
  std::size_t frames = 30;
  std::size_t seconds = 60;  // of a frame
  std::uint32_t groups = 2;
  std::int64_t keep_ms = 600'000;  // what retention leaves, counted from the newest frame
  std::size_t retain_every = 5;    // frames; 0: never
  std::size_t reopen_every = 12;   // frames, on average; 0: never
  // SQLite's cache is so small that a seal writes its roll-ups while it makes them, and not only as it commits.
  bool spills = false;
};

enum class FrameState : std::uint8_t { unseen, offered, acknowledged };

// What happened to a history: the player writes it down.
struct Course {
  std::vector<FrameState> frames;
  std::int64_t oldest_ms = INT64_MIN;  // retention was told to drop what is older
};

class Script {
 public:
  struct Step {
    enum class Kind : std::uint8_t { append, seal, retain, reopen };
    Kind kind = Kind::append;
    std::size_t frame = 0;  // append: which; else the last one that was offered
  };

  explicit Script(const Shape& shape);
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  // The frame behind those of the steps is a spare one: it shows that a store goes on.
  [[nodiscard]] const std::vector<Frame>& frames() const { return frames_; }
  [[nodiscard]] std::size_t spare() const { return frames_.size() - 1; }
  // For a store that was opened anew: with the descriptions of all frames up to this one.
  [[nodiscard]] Frame fully_described(std::size_t frame) const;
  [[nodiscard]] std::int64_t last_ms(std::size_t frame) const { return frames_[frame].ticks.back().wall_ms; }
  [[nodiscard]] std::size_t cells() const;

  // Empty when the store holds every acknowledged cell that retention was not told to drop, bit for bit, of each frame
  // that was offered and not acknowledged all or nothing, and nothing else.
  [[nodiscard]] std::string compare(Store& store, const Course& course) const;

 private:
  struct Cell {
    std::int64_t wall_ms = 0;
    std::uint64_t bits = 0;
    std::size_t frame = 0;
  };
  using Cells = std::vector<Cell>;  // of one series, in the order of their stamps
  [[nodiscard]] static std::string compare_series(const Cells& cells, const std::vector<Point>& points,
                                                  const Course& course, std::vector<std::size_t>& found);

  Shape shape_;
  std::vector<Frame> frames_;
  std::vector<std::size_t> frame_cells_;
  std::vector<Step> steps_;
  std::unordered_map<std::string, Cells> series_;
};

class Player {
 public:
  Player(const Script& script, fakes::Disk& disk);

  // Until the end of the script, or until the power is cut; the store is closed then.
  void play();
  [[nodiscard]] Phase phase() const { return phase_ == Phase::seal && rolls_up_ ? Phase::rollup : phase_; }
  [[nodiscard]] const Course& course() const { return course_; }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }
  [[nodiscard]] std::uint64_t reopened() const { return reopened_; }

 private:
  bool open();
  void close();
  void append(std::size_t frame);
  void seal_some();
  void retain_some(std::size_t frame);

  const Script& script_;
  fakes::Disk& disk_;
  Phase phase_ = Phase::opening;
  bool rolls_up_ = false;
  std::unique_ptr<fakes::Statements> statements_;  // of a script that spills
  std::unique_ptr<SqliteStore> store_;
  bool described_ = false;  // to this store
  Course course_;
  std::vector<std::string> problems_;
  std::string last_error_;
  std::uint64_t retries_ = 0;
  std::uint64_t reopened_ = 0;
};

// Whether a statement is part of a roll-up, when sealing runs it.
[[nodiscard]] bool is_rollup(std::string_view sql);

// Where the history lies on a disk.
[[nodiscard]] std::filesystem::path history_on(const fakes::Disk& disk);

// Opens the history without faults: "" when it is whole, holds what it has to (Script::compare), was not set aside, and
// goes on: it takes the spare frame, seals and still holds everything.
[[nodiscard]] std::string examine(const Script& script, const fakes::Disk& disk, Course course);

// The phase of each operation of the script on a disk without faults; the first is number 1, at [0].
[[nodiscard]] std::vector<Phase> rehearse(const Script& script);

}  // namespace perjoule::storage
