// Drives a store as the writer does (storage/writer.cpp): after each frame it seals and drops a little. After each it
// checks that the files are within the size limit.
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
  // `bytes` returns the bytes on the disk; default: the size of the file and its log.
  Keeper(std::filesystem::path path, const Policy& policy, Verdict& verdict, std::function<std::int64_t()> bytes = {});

  void open(std::int64_t now_ms);
  void close();
  // One append, up to two calls of seal and four of retain, and size.
  void commit(const storage::Frame& frame);
  // Sets a smaller limit. Exceeding it is no violation until `settled` is called.
  void shrink_to(std::int64_t bytes_max);
  void settled() { settling_ = false; }

  struct Counts {
    std::int64_t kept = 0;
    std::int64_t expired = 0;
    std::int64_t refused = 0;
  };
  // Counts of all samples: reads the unsealed ones, and adds up the counts of chunks.
  [[nodiscard]] Counts counts();
  // Bytes of pages: of raw samples, minutes, hours, of all pages in use, and of the file.
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
  [[nodiscard]] bool seal_waits() const { return seal_waits_; }            // more was due after the last commit
  [[nodiscard]] std::int64_t waited_most() const { return waited_most_; }  // longest sequence of such commits
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
  std::uint64_t expired_before_ = 0;  // counted by stores that were closed
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
