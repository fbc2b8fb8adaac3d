#include "daemon/query/reader.hpp"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "daemon/query/history_source.hpp"
#include "storage/history/history_reader.hpp"

namespace perjoule::query {

namespace {

class EmptySource final : public Source {
 public:
  [[nodiscard]] Result<Selected> select(const Want&) override { return Selected{}; }
  [[nodiscard]] Result<std::vector<Labels>> series(std::span<const Matcher>, std::int64_t, std::int64_t) override {
    return std::vector<Labels>{};
  }
};

}  // namespace

// The data that the lane uses. Shared, because a blocked lane may outlive the reader, the clock and the loop.
struct Reader::Work {
  std::string path;
  Parameters parameters;
  std::int64_t now_ms = 0;
  std::atomic<bool> late = false;  // the query was answered with 503; the lane should stop working on it
  Answer answer;
};

struct Reader::Question {
  std::shared_ptr<Work> work = std::make_shared<Work>();
  Reply reply;              // empty once the query is answered
  std::int64_t due_ns = 0;  // steady clock: the deadline
  std::unique_ptr<Alarm> alarm;
};

// The lane's connection to history.db. Opened by the first query, and again after a failed query, if the file was
// replaced, or after the writer has closed it.
class Reader::Files {
 public:
  explicit Files(const Setup& setup)
      : history_(setup.history),
        metrics_(setup.metrics),
        is_histogram_(setup.is_histogram),
        build_(setup.build),
        evaluate_(setup.evaluate),
        reading_(setup.reading ? setup.reading : std::make_shared<storage::Reading>()) {}

  Answer answer(const Work& work) {
    const std::lock_guard lock(reading_->mutex);
    try {
      return read(work);
    } catch (const std::exception& problem) {  // std::bad_alloc: fail this query and not the daemon
      return error_answer(500, "internal", problem.what());
    }
  }

 private:
  Answer read(const Work& work) {
    if (auto opened = open(); !opened) {
      if (opened.error().fault == Fault::absent && !had_file_) return empty(work);
      if (opened.error().fault != Fault::absent) reading_->suspect = true;
      return error_answer(503, "unavailable", opened.error().what);
    }
    sound_ = false;  // until the query has ended well: an exception may leave a transaction open
    source_->set_late([&work] { return work.late.load(); });
    const Environment environment{*source_, metrics_, is_histogram_, build_, work.now_ms, {}};
    Answer answer = evaluate_(work.path, work.parameters, environment);
    sound_ = answer.status != 500;
    if (answer.status >= 500 && !work.late) reading_->suspect = true;
    return answer;
  }

  // In the first second of a new installation there is no file yet, and nothing in it.
  [[nodiscard]] Answer empty(const Work& work) const {
    EmptySource nothing;
    return evaluate_(work.path, work.parameters, {nothing, metrics_, is_histogram_, build_, work.now_ms, {}});
  }

  // The daemon sets a damaged history.db aside and begins a new one. If only its WAL or the index was deleted, the open
  // connection still reads everything, and a new one would not, until the writer has closed both.
  Result<void> open() {
    std::unique_ptr<storage::Connection>& connection = reading_->connection;
    if (connection && sound_ && connection->place() != storage::Place::lost) return {};
    source_.reset();
    if (connection) connection->leave_as_is();
    connection.reset();
    auto opened = storage::open_history(history_);
    if (!opened) return opened.error();
    connection = std::make_unique<storage::Connection>(std::move(*opened));
    had_file_ = true;
    source_.emplace(*connection);
    return {};
  }

  std::filesystem::path history_;
  std::vector<const Metric*> metrics_;
  bool (*is_histogram_)(const Metric&);
  Build build_;
  Evaluate evaluate_;
  std::shared_ptr<storage::Reading> reading_;
  std::optional<HistorySource> source_;  // of reading_->connection
  bool sound_ = true;
  bool had_file_ = false;
};

Reader::Reader(Setup setup) : setup_(std::move(setup)), files_(std::make_shared<Files>(setup_)) {}

Reader::~Reader() {
  if (asked_) waiting_.push_front(std::move(asked_));
  for (const auto& question : waiting_) {
    question->work->late = true;
    settle(*question, error_answer(503, "unavailable", "perjouled is shutting down"));
  }
}

void Reader::ask(std::string path, Parameters parameters, Reply reply) {
  auto question = std::make_shared<Question>();
  question->work->path = std::move(path);
  question->work->parameters = std::move(parameters);
  question->reply = std::move(reply);
  asio::post(setup_.loop, [this, alive = std::weak_ptr(alive_), question] {
    if (alive.expired()) return settle(*question, error_answer(503, "unavailable", "perjouled is shutting down"));
    enqueue(question);
  });
}

void Reader::enqueue(const std::shared_ptr<Question>& question) {
  if (waiting_.size() >= setup_.waiting_max) {
    settle(*question, error_answer(503, "timeout", "too many queries are waiting for the history; try again later"));
    return;
  }
  question->due_ns = setup_.clock.now().steady_ns + setup_.deadline_ms * nanoseconds_per_millisecond;
  question->alarm = setup_.clock.alarm();
  asio::co_spawn(setup_.loop, expire(question), asio::detached);
  waiting_.push_back(question);
  next();
}

// Answers the question with 503 at its deadline, even if the disk hangs. After the question is answered, the reader may
// have been destroyed, so no member is used then.
asio::awaitable<void> Reader::expire(std::shared_ptr<Question> question) {
  while (question->reply && setup_.clock.now().steady_ns < question->due_ns)
    co_await question->alarm->wait_until(question->due_ns);
  if (!question->reply) co_return;
  question->work->late = true;
  std::erase(waiting_, question);
  settle(*question, error_answer(503, "timeout",
                                 "the query did not finish before its deadline; use a shorter range or a larger step"));
}

void Reader::next() {
  if (setup_.lane->busy()) return;
  while (!waiting_.empty() && setup_.has_room && !setup_.has_room()) {
    const auto refused = std::move(waiting_.front());
    waiting_.pop_front();
    settle(*refused,
           error_answer(503, "unavailable",
                        "other clients are slow to read their answers, and there is no room for more of them; "
                        "try again later"));
  }
  if (waiting_.empty()) return;
  asked_ = std::move(waiting_.front());
  waiting_.pop_front();
  asked_->work->now_ms = setup_.clock.now().wall_ms;
  const auto done = [this] {
    const auto question = std::exchange(asked_, nullptr);
    settle(*question, std::move(question->work->answer));
    next();
  };
  if (setup_.lane->start([files = files_, work = asked_->work] { work->answer = files->answer(*work); }, done)) return;
  const auto question = std::exchange(asked_, nullptr);
  settle(*question, error_answer(503, "unavailable", thread_error().what));
  next();
}

void Reader::settle(Question& question, Answer answer) {
  if (!question.reply) return;
  std::exchange(question.reply, nullptr)(std::move(answer));
  if (question.alarm) question.alarm->wake();
}

}  // namespace perjoule::query
