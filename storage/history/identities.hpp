// From the numbers that live as long as the process to those that live as long as the file: series ids and, for a
// group, the grp row whose members are the columns of its frames.
//
// Changes are made inside the store's transaction and count once `keep` says that it was committed; `forget` takes them
// back. One thread at a time.
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

// The members column of a grp row.
[[nodiscard]] std::string pack_members(std::span<const std::int64_t> members);
[[nodiscard]] std::vector<std::int64_t> unpack_members(std::string_view packed);

// Calls `each(column, series)` for each in order.
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
    std::size_t count = 0;  // a grp from an earlier run may have columns whose series nobody has described since

    static constexpr std::size_t none = SIZE_MAX;

    void add(SeriesId series, std::size_t column, double step);
    // What a column's values are stored to multiples of; 0: bit for bit.
    [[nodiscard]] double step(std::size_t column) const { return steps_[column]; }
    // `expected`: the column to try first, which then is the one behind the one found: a probe names its series in the
    // same order at each tick, and then nothing is looked up.
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
    std::vector<SeriesId> series_of_;  // by column, as far as described
    std::vector<double> steps_;
    std::unordered_map<SeriesId, std::size_t> of_;
  };

  [[nodiscard]] static Result<Identities> make(Connection& connection);

  [[nodiscard]] Result<void> describe(const SeriesDescription& series);
  void describe(const GroupDescription& group);

  // The columns that group `id` had at the last keep(); null where it has none, or others are about to take their
  // place.
  [[nodiscard]] const Columns* settled(GroupId id) const;
  // The columns for these ticks of group `id`. A grp row never changes: when a series is new to the group, or `renew`
  // is set, the ones present make a new row, and the old one is closed.
  [[nodiscard]] Result<const Columns*> columns(Connection& connection, GroupId id, std::span<const Tick* const> ticks,
                                               bool renew);
  // The row that group `id` has at the moment; 0: none.
  [[nodiscard]] Result<std::int64_t> grp_of(GroupId id);
  void keep();
  void forget();

  // File ids of the series that this process has described: they stay, whatever retention drops.
  [[nodiscard]] std::unordered_set<std::int64_t> series_in_use() const;
  // The grp rows that its groups have at the moment.
  [[nodiscard]] std::unordered_set<std::int64_t> groups_in_use() const;

 private:
  struct Group {
    GroupDescription description;
    Columns columns;
    bool looked_up = false;  // grp 0 then means that there is none yet
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
  Names staged_;  // what differs from kept_ since the last keep
  Statement insert_series_;
  Statement insert_grp_;
  Statement close_grp_;
  Statement find_grp_;
};

}  // namespace perjoule::storage
