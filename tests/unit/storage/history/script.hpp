// A random history as a script of steps, a player that runs it on a store on a simulated disk, and the check of what
// must be stored afterwards.
//
// The player does what storage/writer.cpp does: it opens a broken store again, retries refused frames, and leaves
// errors of sealing and retention for the next call. It never throws and asserts nothing; problems are lines of text,
// so that tests and soaks can use it. One thread.
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

// What the store was doing. rollup: the part of a seal with statements about roll_1m and roll_1h, distinguished only if
// a script spills. checkpoint: the part of a commit, a seal, a retention or a close that writes to the database file.
enum class Phase : std::uint8_t { opening, commit, seal, rollup, retention, closing, checkpoint };
inline constexpr Phase phases[] = {Phase::opening,   Phase::commit,  Phase::seal,      Phase::rollup,
                                   Phase::retention, Phase::closing, Phase::checkpoint};
[[nodiscard]] const char* name(Phase phase);

// Calls seal() on stores that have it; other stores have nothing to seal.
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
  // Makes SQLite's cache so small that a seal writes its roll-ups while it computes them, not only at its commit.
  bool spills = false;
};

enum class FrameState : std::uint8_t { unseen, offered, acknowledged };

// What happened to a history, recorded by the player.
struct Course {
  std::vector<FrameState> frames;
  std::int64_t oldest_ms = INT64_MIN;  // retention was asked to drop older samples
};

class Script {
 public:
  struct Step {
    enum class Kind : std::uint8_t { append, seal, retain, reopen };
    Kind kind = Kind::append;
    std::size_t frame = 0;  // append: its frame; otherwise the last one offered before
  };

  explicit Script(const Shape& shape);
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  // The frame after those of the steps is a spare one, to test that a store can still append.
  [[nodiscard]] const std::vector<Frame>& frames() const { return frames_; }
  [[nodiscard]] std::size_t spare() const { return frames_.size() - 1; }
  // The frame with the descriptions of all frames up to it, for a store that was opened again.
  [[nodiscard]] Frame fully_described(std::size_t frame) const;
  [[nodiscard]] std::int64_t last_ms(std::size_t frame) const { return frames_[frame].ticks.back().wall_ms; }
  [[nodiscard]] std::size_t cells() const;

  // "" if the store has, bit for bit, every acknowledged cell that retention was not asked to drop; all or nothing of
  // each frame that was offered but not acknowledged; and nothing else. Otherwise the first difference.
  [[nodiscard]] std::string compare(Store& store, const Course& course) const;

 private:
  struct Cell {
    std::int64_t wall_ms = 0;
    std::uint64_t bits = 0;
    std::size_t frame = 0;
  };
  using Cells = std::vector<Cell>;  // of one series, in the order of their timestamps
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

  // Plays until the end of the script or until the power is cut; then the store is closed.
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
  std::unique_ptr<fakes::Statements> statements_;  // only if the script spills
  std::unique_ptr<SqliteStore> store_;
  bool described_ = false;  // the current store has all descriptions
  Course course_;
  std::vector<std::string> problems_;
  std::string last_error_;
  std::uint64_t retries_ = 0;
  std::uint64_t reopened_ = 0;
};

// Whether a statement of sealing reads or writes roll-ups.
[[nodiscard]] bool is_rollup(std::string_view sql);

// The path of the history on a disk.
[[nodiscard]] std::filesystem::path history_on(const fakes::Disk& disk);

// Opens the history without faults: "" if it is intact, was not set aside, has what it must (Script::compare), and
// still does after the spare frame was appended and sealed. Otherwise the first problem.
[[nodiscard]] std::string examine(const Script& script, const fakes::Disk& disk, Course course);

// The phase of each operation of the script on a disk without faults; the first is number 1, at [0].
[[nodiscard]] std::vector<Phase> rehearse(const Script& script);

}  // namespace perjoule::storage
