// A store that is kept as the writer keeps it (storage/writer.cpp): after each frame it seals and forgets a little.
// After each it is held to its budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "storage/history/sqlite_store.hpp"
#include "tests/soak/figures.hpp"

namespace perjoule {

using Policy = storage::RetentionPolicy;

class Keeper {
 public:
  // `bytes`: what lies on the disk; without it, the file and its log.
  Keeper(std::filesystem::path path, const Policy& policy, Verdict& verdict, std::function<std::int64_t()> bytes = {});

  void open(std::int64_t now_ms);
  void close();
  // append, two calls of seal, four of retain, and size.
  void commit(const storage::Frame& frame);
  // From now on; the file need not fit until `settled` is called.
  void shrink_to(std::int64_t bytes_max);
  void settled() { settling_ = false; }

  struct Counts {
    std::int64_t kept = 0;
    std::int64_t expired = 0;
    std::int64_t refused = 0;
  };
  // Reads what is not sealed, and counts what is.
  [[nodiscard]] Counts counts();
  // Bytes of raw, minutes, hours, and of all that is in use, with the pages that hold them.
  struct Shares {
    std::int64_t raw = 0;
    std::int64_t minute = 0;
    std::int64_t hour = 0;
    std::int64_t used = 0;
    std::int64_t file = 0;
  };
  [[nodiscard]] Shares shares() const;
  [[nodiscard]] std::string integrity() const;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const Policy& policy() const { return policy_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_(); }
  [[nodiscard]] std::int64_t bytes_peak() const { return bytes_peak_; }
  [[nodiscard]] const storage::StoreSize& size() const { return size_; }
  [[nodiscard]] bool has_been_full() const { return full_; }
  [[nodiscard]] std::int64_t tail_rows_peak() const { return tail_rows_peak_; }
  [[nodiscard]] bool seal_waits() const { return seal_waits_; }            // more was due when the last commit ended
  [[nodiscard]] std::int64_t waited_most() const { return waited_most_; }  // commits in a row that ended so
  Spread commits_cpu_ms;
  Spread commits_wall_ms;
  double append_cpu_ms = 0;
  double seal_cpu_ms = 0;
  double retain_cpu_ms = 0;
  double size_cpu_ms = 0;

 private:
  void seal();
  void retain();
  void check_budget();

  std::filesystem::path path_;
  Policy policy_;
  Verdict& verdict_;
  std::function<std::int64_t()> bytes_;
  std::unique_ptr<storage::SqliteStore> store_;
  storage::StoreSize size_;
  std::uint64_t expired_before_ = 0;  // by stores that were closed
  std::uint64_t refused_before_ = 0;
  std::int64_t bytes_peak_ = 0;
  std::int64_t tail_rows_peak_ = 0;
  std::int64_t waited_ = 0;
  std::int64_t waited_most_ = 0;
  bool seal_waits_ = false;
  bool full_ = false;
  bool settling_ = false;
};

}  // namespace perjoule
