// From the numbers that live as long as the process to those that live as long as the file: series ids and, for a
// group, the grp row whose members are the columns of its frames.
//
// Changes are made inside the store's transaction and count once `keep` says that it was committed; `forget` takes them
// back. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "storage/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// The members column of a grp row.
[[nodiscard]] std::string pack_members(std::span<const std::int64_t> members);
[[nodiscard]] std::vector<std::int64_t> unpack_members(std::string_view packed);

class Identities {
 public:
  struct Columns {
    std::int64_t grp = 0;
    std::unordered_map<SeriesId, std::size_t> of;  // column by series
    std::size_t count = 0;                         // of columns; a grp from an earlier run may have more than `of`
  };

  [[nodiscard]] static Result<Identities> make(Connection& connection);

  [[nodiscard]] Result<void> describe(const SeriesDescription& series);
  void describe(const GroupDescription& group);

  // The columns for ticks of group `id` that hold `present`. A grp row never changes: when a series is new to the
  // group, the ones present make a new row, and the old one is closed with `last_seq`.
  [[nodiscard]] Result<const Columns*> columns(Connection& connection, GroupId id, std::span<const SeriesId> present,
                                               std::int64_t last_seq);
  void keep();
  void forget();

  // File ids of the series that this process has described: they stay, whatever retention drops.
  [[nodiscard]] std::unordered_set<std::int64_t> series_in_use() const;

 private:
  struct Group {
    GroupDescription description;
    Columns columns;
    bool looked_up = false;  // grp 0 then means that there is none yet
  };
  struct Names {
    std::unordered_map<SeriesId, std::int64_t> series;
    std::unordered_map<GroupId, Group> groups;
  };

  [[nodiscard]] std::int64_t file_id(SeriesId series) const;  // 0: not described
  [[nodiscard]] Result<void> look_up(Group& group);
  [[nodiscard]] Result<void> replace(Connection& connection, Group& group, std::span<const SeriesId> present,
                                     std::int64_t last_seq);

  Names kept_;
  Names staged_;  // what differs from kept_ since the last keep
  Statement insert_series_;
  Statement insert_grp_;
  Statement close_grp_;
  Statement find_grp_;
};

}  // namespace perjoule::storage
