// Maps the numbers of series and groups that are valid for the process to ids that are valid for the file: series ids
// and, for a group, the id of its grp row. A grp row is a *membership*: its members are the columns of the group's
// frames and chunks. It never changes, so columns keep their meaning; if the group changes, it gets a new row.
//
// Changes are made inside the store's transaction. They take effect with keep(), after it was committed; forget()
// discards them. One thread at a time (the writer).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "storage/codec/varint.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// The column `members` of a grp row: the differences of the series ids, zigzag varints.
[[nodiscard]] std::string pack_members(std::span<const std::int64_t> members);
[[nodiscard]] std::vector<std::int64_t> unpack_members(std::string_view packed);

// Calls `each(column, series)` for each member in order; stops at the first malformed byte.
template <class Each>
void for_each_member(std::string_view packed, const Each& each) {
  ByteReader reader(packed);
  std::uint64_t series = 0;
  for (std::size_t column = 0; reader.left() > 0; ++column) {
    series += reader.zigzagged();
    if (!reader.ok()) return;
    each(column, static_cast<std::int64_t>(series));
  }
}

class Identities {
 public:
  class Columns {
   public:
    std::int64_t grp = 0;
    std::int64_t bundle = 0;
    std::size_t count = 0;  // may include columns of an earlier run whose series this process has not described

    static constexpr std::size_t none = SIZE_MAX;

    void add(SeriesId series, std::size_t column, double step);
    // The column stays, without a series.
    void remove(SeriesId series);
    // A column's values are rounded to multiples of it; 0: stored bit for bit.
    [[nodiscard]] double step(std::size_t column) const { return steps_[column]; }
    // `expected`: the column to try first; set to the column after the one found. A probe lists its series in the same
    // order at each tick, so the hash table is rarely needed.
    [[nodiscard]] std::size_t find(SeriesId series, std::size_t& expected) const {
      std::size_t column = expected;
      if (column >= series_of_.size() || series_of_[column] != series) {
        const auto found = of_.find(series);
        column = found == of_.end() ? none : found->second;
      }
      expected = column + 1;
      return column;
    }

   private:
    std::vector<SeriesId> series_of_;  // by column, as far as described by this process
    std::vector<double> steps_;
    std::unordered_map<SeriesId, std::size_t> of_;
  };

  [[nodiscard]] static Result<Identities> make(Connection& connection);

  [[nodiscard]] Result<void> describe(const SeriesDescription& series);
  void describe(const GroupDescription& group);

  // The columns that group `id` had at the last keep(); null if it had none or they are changed in this transaction.
  [[nodiscard]] const Columns* settled(GroupId id) const;
  // The columns for these ticks of group `id`. If a series is new to the group, or `renew` is set, the series in the
  // ticks get a new grp row, and the old one is closed.
  [[nodiscard]] Result<const Columns*> columns(Connection& connection, GroupId id, std::span<const Tick* const> ticks,
                                               bool renew);
  // Closes the grp row `before` (0: none) and opens another one with these members, which are ids of the file.
  [[nodiscard]] Result<std::int64_t> succeed(Connection& connection, std::int64_t before, const GroupDescription& group,
                                             std::span<const std::int64_t> members, std::int64_t bundle);
  // The id of the current grp row of group `id`; 0: none.
  [[nodiscard]] Result<std::int64_t> grp_of(GroupId id);
  // After the ticks of a frame: these series and groups of the process do not come again.
  void forget(std::span<const SeriesId> series, std::span<const GroupId> groups);
  void keep();
  void forget();

  // File ids of the series that this process has described. Retention must not delete them.
  [[nodiscard]] std::unordered_set<std::int64_t> series_in_use() const;
  // Ids of the current grp rows of this process's groups. Retention must not delete them.
  [[nodiscard]] std::unordered_set<std::int64_t> groups_in_use() const;

 private:
  struct Group {
    GroupDescription description;
    Columns columns;
    bool looked_up = false;  // the file was searched for a grp row; if columns.grp is still 0, it has no such row
  };
  struct File {
    std::int64_t id = 0;  // 0: not described
    double step = 0;
  };
  struct Names {
    std::unordered_map<SeriesId, File> series;
    std::unordered_map<GroupId, Group> groups;
  };

  [[nodiscard]] File file_of(SeriesId series) const;
  [[nodiscard]] Result<Group*> stage(GroupId id);
  [[nodiscard]] Result<void> look_up(Group& group);
  [[nodiscard]] Result<void> replace(Connection& connection, Group& group, std::span<const Tick* const> ticks);

  Names kept_;
  Names staged_;                          // changes to kept_ since the last keep()
  std::vector<SeriesId> leaving_series_;  // of kept_, at the next keep()
  std::vector<GroupId> leaving_groups_;
  Statement insert_series_;
  Statement insert_grp_;
  Statement close_grp_;
  Statement find_grp_;
};

}  // namespace perjoule::storage
