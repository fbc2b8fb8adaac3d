#include "storage/sqlite/standing.hpp"

#include <fmt/format.h>

namespace perjoule::storage {

namespace {

using Steady = std::chrono::steady_clock;
constexpr int pause = 10;  // times the duration of a check

}  // namespace

Finding Inspector::look(Connection& connection, bool thoroughly) {
  switch (connection.place()) {
    case Place::lost:
      return {Standing::lost, fmt::format("{}: was moved, deleted or replaced while it was open", path_.string())};
    case Place::logs_lost:
      return {
          Standing::logs_lost,
          fmt::format("{}: its -wal or -shm file was moved, deleted or replaced while it was open", path_.string())};
    case Place::intact:
      break;
  }
  const Change change = connection.changed_by_others();
  if (change != Change::none || thoroughly) doubtful_ = true;
  const auto start = Steady::now();
  if (!doubtful_ || start < not_before_) return {};
  // A page in the WAL hides the one below it until a later checkpoint takes it from there.
  const auto complete = connection.checkpoint(Connection::Checkpoint::passive);
  const auto defect = defect_of(path_, *format_);
  not_before_ = Steady::now() + pause * (Steady::now() - start);
  if (!defect) return {};  // the disk fails or a lock is held: look again later
  if (!defect->empty()) return {Standing::damaged, fmt::format("{}: {}", path_.string(), *defect)};
  doubtful_ = !complete || !*complete;
  connection.remember_files();
  if (change != Change::content) return {};
  return {Standing::rewritten, fmt::format("{}: another program wrote to it; it is intact", path_.string())};
}

}  // namespace perjoule::storage
