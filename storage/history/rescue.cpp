#include "storage/history/rescue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "storage/codec/frame.hpp"
#include "storage/history/identities.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t rows_per_commit = 64;  // a chunk can have half a megabyte: the WAL of the copy stays small
constexpr std::int64_t failures_max = 2000;   // of one table: its upper pages are lost, and no row can be found
constexpr std::int64_t key_max = std::int64_t{1} << 62;

struct Table {
  std::string_view name;
  std::string_view key;  // an integer
  const char* insert;
};

class Copy {
 public:
  // Whether a row may be copied; its columns follow the key in column 0.
  using Wanted = std::function<bool(const Statement& row)>;

  Copy(Connection& from, Connection& to, const Table& table, Wanted wanted)
      : from_(from), to_(to), table_(table), wanted_(std::move(wanted)) {}

  Result<void> run() {
    std::int64_t next = 0;
    for (;;) {
      auto stopped = rows_from(next);
      if (!stopped) return stopped.error();
      if (*stopped > key_max) return {};
      ++counts_.failures;
      next = beyond(*stopped);
      if (next > key_max) return {};
    }
  }
  [[nodiscard]] const Rescued& counts() const { return counts_; }

 private:
  // Copies rows in the order of their keys until a read fails. Returns the key of that; above key_max: none failed.
  Result<std::int64_t> rows_from(std::int64_t first) {
    auto select =
        from_.prepare(fmt::format("SELECT {0}, * FROM {1} WHERE {0} >= ?1 ORDER BY {0}", table_.key, table_.name));
    if (!select) return first;
    select->bind(1, first);
    Progress progress{first, true};
    while (progress.more) {
      auto written = to_.transaction([&] { return copy_some(*select, progress); });
      if (!written) return written.error();
    }
    return progress.next;
  }

  // `next`: as the result of rows_from(). Several rows may have the key of the last row, and the next read may fail: it
  // is read again then.
  struct Progress {
    std::int64_t next = 0;
    bool more = true;
  };
  Result<void> copy_some(Statement& select, Progress& progress) {
    auto insert = to_.keep(table_.insert);
    if (!insert) return insert.error();
    for (std::int64_t n = 0; n < rows_per_commit; ++n) {
      auto row = select.step();
      progress.more = row && *row;
      if (row && !*row) progress.next = key_max + 1;
      if (!progress.more) return {};
      if (auto done = copy_row(select, *insert); !done) return done;
      progress.next = std::max(progress.next, select.integer(0));
    }
    return {};
  }
  Result<void> copy_row(const Statement& row, Statement& insert) {
    if (wanted_ && !wanted_(row)) return {};
    auto done = insert.bind_row(row, 1).run();
    if (done) {
      ++counts_.rows;
      return {};
    }
    if (to_.cause() != Cause::other) return done;
    ++counts_.failures;  // its bytes were overwritten: a value of another type
    return {};
  }

  // A key from which rows can be read again, after a read from `bad` has failed; above key_max: there is none.
  std::int64_t beyond(std::int64_t bad) {
    std::int64_t good = bad;
    for (std::int64_t step = 1;; step *= 2) {
      good = bad + step;
      if (good > key_max || counts_.failures >= failures_max) return key_max + 1;
      if (readable(good)) break;
      bad = good;
    }
    while (good - bad > 1) {
      const std::int64_t middle = bad + (good - bad) / 2;
      (readable(middle) ? good : bad) = middle;
    }
    return good;
  }
  bool readable(std::int64_t key) {
    auto first = Connection::integer(
        from_.prepare(fmt::format("SELECT {0} FROM {1} WHERE {0} >= ?1 ORDER BY {0} LIMIT 1", table_.key, table_.name)),
        key);
    if (!first) ++counts_.failures;
    return first.has_value();
  }

  Connection& from_;
  Connection& to_;
  const Table& table_;
  Wanted wanted_;
  Rescued counts_;
};

using Ids = std::unordered_set<std::int64_t>;

// Copies all tables. Only rows whose series and groups were copied refer to nothing that is lost.
class Rescue {
 public:
  Rescue(Connection& from, Connection& to) : from_(from), to_(to) {}

  Result<void> run() {
    const auto any = [](const Statement&) { return true; };
    const auto add_series = [&](const Statement& row) { return series_.insert(row.integer(0)).second; };
    const auto of_known_group = [&](const Statement& row) { return groups_.contains(grp_of_key(row.integer(0))); };
    const auto of_known_series = [&](const Statement& row) { return series_.contains(row.integer(2)); };
    constexpr int tail_blob = 5;
    const auto all_known = [&](const Statement& row) { return knows_frame(row.blob(tail_blob)); };
    for (const auto& [table, wanted] : {
             std::pair<Table, Copy::Wanted>({"meta", "length(name)", "INSERT OR REPLACE INTO meta VALUES(?1, ?2)"},
                                            any),
             {{"series", "id", "INSERT OR REPLACE INTO series VALUES(?1, ?2, ?3, ?4, ?5, ?6)"}, add_series},
             {{"grp", "id", "INSERT OR REPLACE INTO grp VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
              [&](const Statement& row) { return add_group(row); }},
             {{"tail", "id", "INSERT OR REPLACE INTO tail VALUES(?1, ?2, ?3, ?4, ?5)"}, all_known},
             {{"chunk", "k", "INSERT OR REPLACE INTO chunk VALUES(?1, ?2, ?3)"}, of_known_group},
             {{"roll_1m", "k", "INSERT OR REPLACE INTO roll_1m VALUES(?1, ?2)"}, of_known_group},
             {{"roll_1h", "start_s", "INSERT OR REPLACE INTO roll_1h VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
              of_known_series},
         }) {
      Copy copy(from_, to_, table, wanted);
      if (auto copied = copy.run(); !copied) return copied;
      counts_.rows += copy.counts().rows;
      counts_.failures += copy.counts().failures;
    }
    return {};
  }
  [[nodiscard]] const Rescued& counts() const { return counts_; }

 private:
  bool add_group(const Statement& row) {
    constexpr int members_column = 5;
    const auto members = unpack_members(row.blob(members_column));
    const bool known =
        std::all_of(members.begin(), members.end(), [&](std::int64_t series) { return series_.contains(series); });
    if (known) groups_.insert(row.integer(0));
    return known;
  }
  bool knows_frame(std::string_view frame) {
    bool known = true;
    const auto look = [&](std::int64_t group) {
      known = known && groups_.contains(group);
      return false;
    };
    return decode_frame(frame, look, [](const ColumnView&) {}).has_value() && known;
  }

  Connection& from_;
  Connection& to_;
  Ids series_;
  Ids groups_;
  Rescued counts_;
};

}  // namespace

Result<Rescued> rescue(Connection& from, Connection& to) {
  Rescue rescue(from, to);
  Result<void> copied;
  // One transaction, so that page 1 stays in the cache: it may be good there alone. If even its first read fails, the
  // reads below fail and are counted.
  auto read = from.transaction(
      [&]() -> Result<void> {
        copied = rescue.run();
        return copied;
      },
      Connection::Begin::deferred);
  if (!copied) return copied.error();
  return rescue.counts();
}

}  // namespace perjoule::storage
