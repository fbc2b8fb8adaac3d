#include "tests/soak/keeper.hpp"

#include <system_error>
#include <utility>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"

namespace perjoule {

namespace {

constexpr int seal_calls = 2;
constexpr int retain_calls = 4;

std::int64_t file_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

class Stopwatch {
 public:
  explicit Stopwatch(double& sum) : sum_(sum), begin_(cpu_ms()) {}
  ~Stopwatch() { sum_ += cpu_ms() - begin_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& sum_;
  double begin_;
};

}  // namespace

Keeper::Keeper(std::filesystem::path path, const Policy& policy, Verdict& verdict, std::function<std::int64_t()> bytes)
    : path_(std::move(path)), policy_(policy), verdict_(verdict), bytes_(std::move(bytes)) {
  if (!bytes_) bytes_ = [this] { return file_bytes(path_) + file_bytes(path_.string() + "-wal"); };
}

void Keeper::open(std::int64_t now_ms) {
  storage::Notes notes;
  store_ = need(storage::SqliteStore::open(path_, now_ms, notes));
  for (const auto& note : notes)
    verdict_.violation(note);
}

void Keeper::close() {
  expired_before_ += size_.expired_samples;
  refused_before_ += size_.refused_samples;
  size_ = {};
  store_.reset();
}

void Keeper::commit(const storage::Frame& frame) {
  const double before_ms = cpu_ms();
  const auto before = std::chrono::steady_clock::now();
  {
    const Stopwatch watch(append_cpu_ms);
    need(store_->append(frame));
  }
  seal();
  retain();
  {
    const Stopwatch watch(size_cpu_ms);
    size_ = need(store_->size());
  }
  commits_cpu_ms.add(cpu_ms() - before_ms);
  commits_wall_ms.add(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
  tail_rows_peak_ = std::max(tail_rows_peak_, size_.tail_rows);
  check_budget();
}

void Keeper::seal() {
  const Stopwatch watch(seal_cpu_ms);
  seal_waits_ = true;
  for (int call = 0; call < seal_calls && seal_waits_; ++call)
    seal_waits_ = need(store_->seal());
  waited_ = seal_waits_ ? waited_ + 1 : 0;
  waited_most_ = std::max(waited_most_, waited_);
}

void Keeper::retain() {
  const Stopwatch watch(retain_cpu_ms);
  for (int call = 0; call < retain_calls; ++call) {
    if (!need(store_->retain(policy_))) break;
  }
}

void Keeper::check_budget() {
  const std::int64_t now = bytes_();
  bytes_peak_ = std::max(bytes_peak_, now);
  if (policy_.bytes_max == 0) return;
  if (size_.expired_samples > 0) full_ = true;
  if (settling_ || now <= policy_.bytes_max) return;
  verdict_.violation(fmt::format("{} bytes on the disk, {} over the limit", now, now - policy_.bytes_max));
}

void Keeper::shrink_to(std::int64_t bytes_max) {
  policy_.bytes_max = bytes_max;
  settling_ = true;
}

Keeper::Counts Keeper::counts() {
  storage::Connection connection = need(storage::open_history(path_));
  const std::int64_t slot = need(connection.integer("SELECT ifnull(min(sealed), 0) FROM grp WHERE closed_seq IS NULL"));
  Counts counts;
  counts.kept =
      need(connection.integer(fmt::format("SELECT sum(samples) FROM chunk WHERE k < {}", storage::slot_key(slot, 0))));
  storage::Selection behind;
  behind.from_ms = storage::slot_start(slot);
  need(store_->read(behind, [&](const storage::SeriesDescription&, const std::vector<storage::Point>& points) {
    counts.kept += static_cast<std::int64_t>(points.size());
    return true;
  }));
  size_ = need(store_->size());
  counts.expired = static_cast<std::int64_t>(expired_before_ + size_.expired_samples);
  counts.refused = static_cast<std::int64_t>(refused_before_ + size_.refused_samples);
  return counts;
}

Keeper::Shares Keeper::shares() const {
  storage::Connection connection = need(storage::open_history(path_));
  const auto of = [&](const char* table) {
    return need(connection.integer(fmt::format("SELECT ifnull(sum(pgsize), 0) FROM dbstat WHERE name = '{}'", table)));
  };
  Shares shares{of("chunk"), of("roll_1m"), of("roll_1h"), 0, 0};
  shares.file = need(connection.integer("PRAGMA page_count")) * 4096;
  shares.used = shares.file - need(connection.integer("PRAGMA freelist_count")) * 4096;
  return shares;
}

std::string Keeper::integrity() const {
  storage::Connection connection = need(storage::open_history(path_));
  return need(connection.text("PRAGMA integrity_check"));
}

}  // namespace perjoule
