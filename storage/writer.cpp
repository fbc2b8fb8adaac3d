#include "storage/writer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace perjoule::storage {

namespace {

// Calls after each history commit. The number is limited so that ledger commits are not delayed; what is left waits for
// the next history commit.
constexpr int seal_calls = 2;
constexpr int retain_calls = 4;

std::size_t bytes_of(const Tick& tick) {
  return sizeof(Tick) + tick.samples.size() * sizeof(Sample);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Appends the changed rows (or all of them) to `out` and clears their flags.
template <class Row, class Map>
void take_rows(Map& known, bool all, std::vector<Row>& out) {
  for (auto& [key, entry] : known) {
    if (!entry.changed && !all) continue;
    entry.changed = false;
    out.push_back(entry.row);
  }
}

template <class Map, class Rows>
void keep(Map& known, Rows rows, bool loaded) {
  for (auto& row : rows) {
    auto& entry = known[row.key];
    entry.row = std::move(row);
    entry.changed = !loaded;
    entry.stored = entry.stored || loaded;
  }
}

// Whether the file has it.
template <class Map>
bool erase_stored(Map& known, const std::string& key) {
  const auto found = known.find(key);
  if (found == known.end()) return false;
  const bool stored = found->second.stored;
  known.erase(found);
  return stored;
}

// Those that no tick from number `waiting` on can have.
template <class Entries, class Id = decltype(Entries::value_type::id)>
std::vector<Id> due(const Entries& forgotten, std::uint64_t waiting) {
  std::vector<Id> ids;
  for (const auto& each : forgotten) {
    if (each.number <= waiting) ids.push_back(each.id);
  }
  return ids;
}

// They were forgotten in the order of their numbers, so `ids` are the first entries.
template <class Entries, class Ids, class Descriptions>
void drop(Entries& forgotten, const Ids& ids, Descriptions& descriptions) {
  forgotten.erase(forgotten.begin(), forgotten.begin() + static_cast<std::ptrdiff_t>(ids.size()));
  for (const auto id : ids)
    descriptions.erase(id);
}

}  // namespace

Writer::Writer(WriterFiles files, std::unique_ptr<LedgerFile> ledger, LedgerRows loaded, WriterLimits limits, Post post)
    : files_(std::move(files)), limits_(limits), post_(std::move(post)), ledger_(std::move(ledger)), thread_([this] {
        run();
      }) {
  const std::lock_guard lock(mutex_);
  keep_rows(std::move(loaded), true);
}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Writer::describe(SeriesDescription series) {
  const std::lock_guard lock(mutex_);
  if (limits_.lossless) series.step = 0;
  const SeriesId id = series.id;
  series_.insert_or_assign(id, Described<SeriesDescription>{std::move(series)});
}

void Writer::describe(GroupDescription group) {
  const std::lock_guard lock(mutex_);
  const GroupId id = group.id;
  groups_.insert_or_assign(id, Described<GroupDescription>{std::move(group)});
}

void Writer::forget(std::vector<SeriesId> series) {
  const std::lock_guard lock(mutex_);
  for (const SeriesId id : series)
    forgotten_series_.push_back({id, next_number_});
}

void Writer::forget(GroupId group) {
  const std::lock_guard lock(mutex_);
  forgotten_groups_.push_back({group, next_number_});
}

void Writer::push(Tick tick) {
  const std::lock_guard lock(mutex_);
  ++waiting_ticks_;
  waiting_bytes_ += bytes_of(tick);
  queue_.push_back({next_number_++, std::move(tick)});
  keep_within_limits();
}

void Writer::keep_within_limits() {
  while (!queue_.empty() && (waiting_ticks_ > limits_.ticks || waiting_bytes_ > limits_.bytes)) {
    const Tick& oldest = queue_.front().tick;
    --waiting_ticks_;
    waiting_bytes_ -= bytes_of(oldest);
    dropped_samples_ += oldest.samples.size();
    queue_.pop_front();
  }
}

void Writer::keep_rows(LedgerRows rows, bool loaded) {
  for (std::string& key : rows.expired) {
    const bool total = erase_stored(totals_, key);
    const bool meter = erase_stored(meters_, key);
    if (total || meter) expired_.insert(std::move(key));
  }
  keep(totals_, std::move(rows.totals), loaded);
  keep(meters_, std::move(rows.meters), loaded);
  keep(states_, std::move(rows.states), loaded);
}

void Writer::commit(std::uint64_t generation, LedgerRows changed, bool history, OnReport done) {
  std::optional<Request> replaced;
  {
    const std::lock_guard lock(mutex_);
    keep_rows(std::move(changed), false);
    replaced = std::exchange(waiting_, std::nullopt);
    const bool also = replaced && replaced->history;
    waiting_ = Request{generation, history || also, next_number_, std::move(done)};
  }
  changed_.notify_all();
  if (!replaced) return;
  Report report;
  report.generation = replaced->generation;
  report.error = "the disk is slow: the previous commit is still running, this one was merged into the next";
  post_([reply = std::move(replaced->done), report] { reply(report); });
}

void Writer::retention(const RetentionPolicy& policy) {
  const std::lock_guard lock(mutex_);
  policy_ = policy;
}

bool Writer::stop(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  return changed_.wait_until(lock, deadline, [this] { return ended_; }) && all_committed_;
}

void Writer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return waiting_ || stopping_; });
    if (!waiting_) break;
    Request request = std::move(*waiting_);
    waiting_.reset();
    lock.unlock();
    Report report = serve(request);
    lock.lock();
    report.dropped_samples = std::exchange(dropped_samples_, 0);
    const bool nothing_left = queue_.empty() || queue_.front().number >= request.before;
    all_committed_ = report.ledger_committed && nothing_left;
    lock.unlock();
    post_([reply = std::move(request.done), report = std::move(report)] { reply(report); });
    lock.lock();
  }
  lock.unlock();
  // Closing the files also writes (a checkpoint), so stop() waits for it.
  store_.reset();
  ledger_.reset();
  lock.lock();
  ended_ = true;
  changed_.notify_all();
}

Report Writer::serve(const Request& request) {
  Report report;
  report.generation = request.generation;
  auto start = std::chrono::steady_clock::now();
  auto ledger = commit_ledger(report);
  report.ledger_seconds = seconds_since(start);
  report.ledger_committed = ledger.has_value();
  if (!ledger) report.error = ledger.error().what;
  start = std::chrono::steady_clock::now();
  auto history = look_after_history(report);
  if (ledger && history && request.history) {
    report.history_attempted = true;
    history = commit_history(request.before, report);
    report.history_seconds = seconds_since(start);
  }
  if (!history && report.error.empty()) report.error = history.error().what;
  report.history_failed = request.history && (!ledger || !history);
  take_news(report);
  return report;
}

Result<void> Writer::commit_history(std::uint64_t before, Report& report) {
  if (!store_) {
    if (auto made = files_.directory(); !made) return made;
    if (auto opened = open_history_file(); !opened) return opened;
  }
  // Not when the file is opened again in this run: its series go on.
  if (!ended_previous_run_) {
    if (auto ended = store_->end_previous_run(); !ended) {
      store_fails_ = ended.error().fault == Fault::broken;
      return ended;
    }
    ended_previous_run_ = true;
  }
  std::deque<Queued> taken = take_ticks(before);
  std::vector<std::uint64_t> numbers;
  Frame frame;
  std::size_t bytes = 0;
  for (auto& queued : taken) {
    bytes += bytes_of(queued.tick);
    report.appended_samples += queued.tick.samples.size();
    numbers.push_back(queued.number);
    frame.ticks.push_back(std::move(queued.tick));
  }
  auto appended = append(frame);
  {
    const std::lock_guard lock(mutex_);
    if (appended) {
      waiting_ticks_ -= frame.ticks.size();
      waiting_bytes_ -= bytes;
    } else {
      for (std::size_t n = frame.ticks.size(); n-- > 0;)
        queue_.push_front({numbers[n], std::move(frame.ticks[n])});
      keep_within_limits();
    }
  }
  if (!appended) {
    report.appended_samples = 0;
    store_fails_ = appended.error().fault == Fault::broken;
    return appended;
  }
  report.history_committed = true;
  auto tended = tend(report);
  store_fails_ = !tended && tended.error().fault == Fault::broken;
  return tended;
}

Result<void> Writer::append(Frame& frame) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, series] : series_) {
      if (!series.stored) frame.series.push_back(series.description);
    }
    for (const auto& [id, group] : groups_) {
      if (!group.stored) frame.groups.push_back(group.description);
    }
    const std::uint64_t waiting = queue_.empty() ? next_number_ : queue_.front().number;
    frame.forgotten_series = due(forgotten_series_, waiting);
    frame.forgotten_groups = due(forgotten_groups_, waiting);
  }
  auto appended = store_->append(frame);
  const std::lock_guard lock(mutex_);
  if (!appended) return appended;
  for (const SeriesDescription& series : frame.series)
    series_.at(series.id).stored = true;
  for (const GroupDescription& group : frame.groups)
    groups_.at(group.id).stored = true;
  drop(forgotten_series_, frame.forgotten_series, series_);
  drop(forgotten_groups_, frame.forgotten_groups, groups_);
  return {};
}

Result<void> Writer::tend(Report& report) {
  RetentionPolicy policy;
  {
    const std::lock_guard lock(mutex_);
    policy = policy_;
  }
  for (int call = 0; call < seal_calls; ++call) {
    auto more = store_->seal();
    if (!more) return more.error();
    if (!*more) break;
  }
  for (int call = 0; call < retain_calls; ++call) {
    auto more = store_->retain(policy);
    if (!more) return more.error();
    if (!*more) break;
  }
  auto size = store_->size();
  if (!size) return size.error();
  report.size = *size;
  report.refused_samples = size->refused_samples - reported_.refused_samples;
  report.expired_samples = size->expired_samples - reported_.expired_samples;
  report.undecodable = size->undecodable - reported_.undecodable;
  reported_ = *size;
  return {};
}

LedgerRows Writer::take_changed(bool all) {
  const std::lock_guard lock(mutex_);
  LedgerRows rows;
  take_rows(totals_, all, rows.totals);
  take_rows(meters_, all, rows.meters);
  take_rows(states_, all, rows.states);
  rows.expired.assign(expired_.begin(), expired_.end());
  expired_.clear();
  return rows;
}

void Writer::keep_stored(const LedgerRows& rows) {
  const std::lock_guard lock(mutex_);
  for (const auto& row : rows.totals) {
    const auto known = totals_.find(row.key);
    if (known != totals_.end()) {
      known->second.stored = true;
    } else {
      expired_.insert(row.key);  // during the commit
    }
  }
}

void Writer::offer_again(const LedgerRows& rows) {
  const std::lock_guard lock(mutex_);
  // What has expired meanwhile is not offered.
  for (const auto& row : rows.totals) {
    if (const auto known = totals_.find(row.key); known != totals_.end()) known->second.changed = true;
  }
  for (const auto& row : rows.meters) {
    if (const auto known = meters_.find(row.key); known != meters_.end()) known->second.changed = true;
  }
  expired_.insert(rows.expired.begin(), rows.expired.end());
  for (const auto& row : rows.states)
    states_[row.key].changed = true;
}

std::deque<Writer::Queued> Writer::take_ticks(std::uint64_t before) {
  const std::lock_guard lock(mutex_);
  const auto end =
      std::find_if(queue_.begin(), queue_.end(), [&](const Queued& each) { return each.number >= before; });
  std::deque<Queued> taken(std::move_iterator(queue_.begin()), std::move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return taken;
}

}  // namespace perjoule::storage
