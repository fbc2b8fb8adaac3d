#include "tests/unit/storage/history/script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <random>
#include <utility>

#include "tests/unit/storage/history/history.hpp"

namespace perjoule::storage {

namespace {

constexpr int tries_before_healing = 6;
constexpr int tries_after_healing = 3;
constexpr int calls_of_seal_max = 10'000;
constexpr int calls_between_commits = 4;  // of seal, and of retain

std::string integrity(const std::filesystem::path& path) {
  auto reader = open_database_read_only(path, history_format);
  if (!reader) return reader.error().what;
  auto answer = reader->text("PRAGMA integrity_check");
  if (!answer) return answer.error().what;
  return *answer == "ok" ? "" : *answer;
}

}  // namespace

const char* name(Phase phase) {
  switch (phase) {
    case Phase::opening:
      return "opening";
    case Phase::commit:
      return "commit";
    case Phase::seal:
      return "seal";
    case Phase::rollup:
      return "rollup";
    case Phase::retention:
      return "retention";
    case Phase::closing:
      return "closing";
    case Phase::checkpoint:
      return "checkpoint";
  }
  return "unknown";
}

Script::Script(const Shape& shape) : shape_(shape) {
  RandomHistory history(shape.seed, shape.groups);
  std::mt19937_64 random(shape.seed);
  for (std::size_t n = 0; n <= shape.frames; ++n) {
    do {
      frames_.push_back(history.next_frame(shape.seconds));
      if (frames_.back().ticks.empty()) frames_.pop_back();
    } while (frames_.size() <= n);
    std::size_t count = 0;
    for (const auto& tick : frames_[n].ticks) {
      count += tick.samples.size();
      for (const auto& sample : tick.samples) {
        series_[identity(describe_series(static_cast<std::uint32_t>(sample.series)))].push_back(
            {tick.wall_ms, std::bit_cast<std::uint64_t>(sample.value), n});
      }
    }
    frame_cells_.push_back(count);
    if (n == shape.frames) break;
    steps_.push_back({Step::Kind::append, n});
    steps_.push_back({Step::Kind::seal, n});
    if (shape.retain_every > 0 && n % shape.retain_every == shape.retain_every - 1) {
      steps_.push_back({Step::Kind::retain, n});
    }
    if (shape.reopen_every > 0 && random() % shape.reopen_every == 0) steps_.push_back({Step::Kind::reopen, n});
  }
}

Frame Script::fully_described(std::size_t frame) const {
  Frame out = frames_[frame];
  out.series.clear();
  out.groups.clear();
  for (std::size_t n = 0; n <= frame; ++n) {
    out.series.insert(out.series.end(), frames_[n].series.begin(), frames_[n].series.end());
    out.groups.insert(out.groups.end(), frames_[n].groups.begin(), frames_[n].groups.end());
  }
  return out;
}

std::size_t Script::cells() const {
  std::size_t sum = 0;
  for (const auto count : frame_cells_)
    sum += count;
  return sum;
}

std::string Script::compare_series(const Cells& cells, const std::vector<Point>& points, const Course& course,
                                   std::vector<std::size_t>& found) {
  std::size_t at = 0;
  for (const auto& cell : cells) {
    if (at < points.size() && points[at].wall_ms < cell.wall_ms) {
      return fmt::format("the point at {} was never offered", points[at].wall_ms);
    }
    const auto state = course.frames[cell.frame];
    if (at == points.size() || points[at].wall_ms > cell.wall_ms) {
      if (state == FrameState::acknowledged && cell.wall_ms >= course.oldest_ms) {
        return fmt::format("the point at {} of frame {} is lost", cell.wall_ms, cell.frame);
      }
      continue;
    }
    const auto bits = std::bit_cast<std::uint64_t>(points[at++].value);
    if (state == FrameState::unseen) return fmt::format("the point at {} was not offered yet", cell.wall_ms);
    if (bits != cell.bits) return fmt::format("the point at {} is {:x}, not {:x}", cell.wall_ms, bits, cell.bits);
    ++found[cell.frame];
  }
  return at == points.size() ? "" : fmt::format("the point at {} was never offered", points[at].wall_ms);
}

std::string Script::compare(Store& store, const Course& course) const {
  std::string problem;
  std::size_t seen = 0;
  std::vector<std::size_t> found(frames_.size());
  std::unordered_map<std::string, bool> given;
  auto read = store.read({}, [&](const SeriesDescription& series, const std::vector<Point>& points) {
    const std::string key = identity(series);
    const auto cells = series_.find(key);
    problem = cells == series_.end() ? "was never offered" : compare_series(cells->second, points, course, found);
    if (!std::exchange(given[key], true)) ++seen;
    if (!problem.empty()) problem = fmt::format("{}: {}", key, problem);
    return problem.empty();
  });
  if (!read) return read.error().what;
  for (const auto& [key, cells] : series_) {
    if (!problem.empty() || seen == series_.size()) break;
    if (!given[key]) problem = compare_series(cells, {}, course, found);
    if (!problem.empty()) problem = fmt::format("{}: {}", key, problem);
  }
  for (std::size_t n = 0; n < frames_.size() && problem.empty(); ++n) {
    const bool may_be_cut = frames_[n].ticks.front().wall_ms < course.oldest_ms;
    if (course.frames[n] == FrameState::offered && !may_be_cut && found[n] != 0 && found[n] != frame_cells_[n]) {
      problem = fmt::format("of frame {} {} of {} points are there", n, found[n], frame_cells_[n]);
    }
  }
  return problem;
}

Player::Player(const Script& script, fakes::Disk& disk) : script_(script), disk_(disk) {
  course_.frames.resize(script.frames().size());
  if (!script.shape().spills) return;
  statements_ = std::make_unique<fakes::Statements>([this](std::string_view sql) { rolls_up_ = is_rollup(sql); });
}

void Player::play() {
  for (const auto& step : script_.steps()) {
    if (disk_.is_cut()) break;
    switch (step.kind) {
      case Script::Step::Kind::append:
        append(step.frame);
        break;
      case Script::Step::Kind::seal:
        seal_some();
        break;
      case Script::Step::Kind::retain:
        retain_some(step.frame);
        break;
      case Script::Step::Kind::reopen:
        close();
        break;
    }
  }
  close();
}

bool Player::open() {
  if (store_ != nullptr) return true;
  phase_ = Phase::opening;
  Notes notes;
  auto store = SqliteStore::open(history_on(disk_), 1795515072000, notes);
  for (const auto& note : notes)
    problems_.push_back(note);
  if (!store) {
    last_error_ = store.error().what;
    return false;
  }
  store_ = std::move(*store);
  if (statements_ != nullptr) fakes::Statements::spill_early();
  described_ = false;
  ++reopened_;
  return true;
}

void Player::close() {
  phase_ = Phase::closing;
  store_.reset();
}

void Player::append(std::size_t frame) {
  course_.frames[frame] = FrameState::offered;
  for (int attempt = 0; attempt < tries_before_healing + tries_after_healing; ++attempt) {
    if (disk_.is_cut()) return;
    if (attempt > 0) ++retries_;
    if (attempt == tries_before_healing) disk_.heal();
    if (!open()) continue;
    phase_ = Phase::commit;
    auto appended =
        described_ ? store_->append(script_.frames()[frame]) : store_->append(script_.fully_described(frame));
    if (appended) {
      described_ = true;
      course_.frames[frame] = FrameState::acknowledged;
      return;
    }
    last_error_ = appended.error().what;
    if (appended.error().fault == Fault::broken) close();
  }
  problems_.push_back(fmt::format("frame {}: cannot be stored after the disk recovered: {}", frame, last_error_));
}

void Player::seal_some() {
  if (store_ == nullptr) return;
  phase_ = Phase::seal;
  for (int call = 0; call < calls_between_commits; ++call) {
    auto more = seal(*store_);
    if (!more || !*more) break;
  }
}

void Player::retain_some(std::size_t frame) {
  if (store_ == nullptr) return;
  phase_ = Phase::retention;
  course_.oldest_ms = script_.last_ms(frame) - script_.shape().keep_ms;
  for (int call = 0; call < calls_between_commits; ++call) {
    auto more = store_->retain({.raw_ms = script_.shape().keep_ms});
    if (!more || !*more) break;
  }
}

bool is_rollup(std::string_view sql) {
  return sql.find("roll_1m") != std::string_view::npos || sql.find("roll_1h") != std::string_view::npos;
}

std::filesystem::path history_on(const fakes::Disk& disk) {
  return disk / "history.db";
}

std::string examine(const Script& script, const fakes::Disk& disk, Course course) {
  Notes notes;
  auto store = SqliteStore::open(history_on(disk), 1795515072000, notes);
  if (!store) return store.error().what;
  if (!notes.empty()) return notes.front();
  if (auto harm = integrity(history_on(disk)); !harm.empty()) return harm;
  if (auto problem = script.compare(**store, course); !problem.empty()) return problem;
  if (auto on = (*store)->append(script.fully_described(script.spare())); !on) return on.error().what;
  course.frames[script.spare()] = FrameState::acknowledged;
  for (int call = 0;; ++call) {
    auto more = seal(**store);
    if (!more) return more.error().what;
    if (!*more) break;
    if (call == calls_of_seal_max) return "sealing does not end";
  }
  if (auto problem = script.compare(**store, course); !problem.empty()) return "after the spare frame: " + problem;
  if ((*store)->undecodable() > 0) return "it has frames that cannot be decoded";
  return "";
}

std::vector<Phase> rehearse(const Script& script) {
  fakes::Disk disk;
  Player player(script, disk);
  std::vector<Phase> out;
  disk.watch([&](std::uint64_t, fakes::Operation operation, const std::string& path) {
    const bool changes = operation != fakes::Operation::read && operation != fakes::Operation::open;
    const bool database = path.ends_with(".db");
    const bool checkpoint = changes && database && player.phase() != Phase::opening;
    out.push_back(checkpoint ? Phase::checkpoint : player.phase());
  });
  player.play();
  return out;
}

}  // namespace perjoule::storage
