#include "daemon/query/reader.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "daemon/query/history_source.hpp"
#include "storage/history_reader.hpp"

namespace perjoule::query {

namespace {

constexpr std::int64_t after_deadline_ms = 100;  // for the loop, so that work that ends by itself still answers

}  // namespace

struct Reader::Question {
  std::string path;
  Parameters parameters;
  Reply reply;  // empty once it has been answered
  std::int64_t deadline_ns = 0;
  std::unique_ptr<Alarm> alarm;
  Answer answer;
};

// The lane's: opened by the first query, and anew after what went wrong.
class Reader::Files {
 public:
  Files(std::filesystem::path history, const Clock& clock, std::vector<const Metric*> metrics, Build build)
      : history_(std::move(history)), clock_(clock), metrics_(std::move(metrics)), build_(std::move(build)) {}

  Answer answer(const Question& question) {
    if (auto opened = open(); !opened) return error_answer(503, "unavailable", opened.error().what);
    source_->set_late([this, &question] { return clock_.now().steady_ns > question.deadline_ns; });
    const Environment environment{*source_, metrics_, nullptr, build_, clock_.now().wall_ms, {}};
    Answer answer = query::answer(question.path, question.parameters, environment);
    if (answer.status == 500) close();
    return answer;
  }

 private:
  Result<void> open() {
    // Another file may stand there: the daemon sets a damaged one aside.
    if (connection_ && !connection_->in_place()) close();
    if (connection_) return {};
    auto opened = storage::open_history(history_);
    if (!opened) return opened.error();
    connection_ = std::make_unique<storage::Connection>(std::move(*opened));
    source_.emplace(*connection_);
    return {};
  }
  void close() {
    source_.reset();
    connection_.reset();
  }

  std::filesystem::path history_;
  const Clock& clock_;
  std::vector<const Metric*> metrics_;
  Build build_;
  std::unique_ptr<storage::Connection> connection_;
  std::optional<HistorySource> source_;
};

Reader::Reader(Setup setup)
    : setup_(std::move(setup)),
      files_(std::make_shared<Files>(setup_.history, setup_.clock, setup_.metrics, setup_.build)) {}

Reader::~Reader() = default;

void Reader::ask(std::string path, Parameters parameters, Reply reply) {
  auto question = std::make_shared<Question>();
  question->path = std::move(path);
  question->parameters = std::move(parameters);
  question->reply = std::move(reply);
  asio::post(setup_.loop, [this, question] { take(question); });
}

void Reader::take(const std::shared_ptr<Question>& question) {
  if (waiting_.size() >= setup_.waiting_max) {
    settle(question, error_answer(503, "timeout", "too many queries wait for the history"));
    return;
  }
  question->deadline_ns = setup_.clock.now().steady_ns + setup_.deadline_ms * nanoseconds_per_millisecond;
  question->alarm = setup_.clock.alarm();
  asio::co_spawn(setup_.loop, expire(question), asio::detached);
  waiting_.push_back(question);
  next();
}

// Whoever asked hears at the deadline, whatever the disk does.
asio::awaitable<void> Reader::expire(std::shared_ptr<Question> question) {
  const std::int64_t due_ns = question->deadline_ns + after_deadline_ms * nanoseconds_per_millisecond;
  while (question->reply && setup_.clock.now().steady_ns < due_ns)
    co_await question->alarm->wait_until(due_ns);
  if (!question->reply) co_return;
  std::erase(waiting_, question);
  settle(question, error_answer(503, "timeout", "the history did not answer in time"));
}

void Reader::next() {
  if (waiting_.empty() || setup_.lane->busy()) return;
  auto question = std::move(waiting_.front());
  waiting_.pop_front();
  // The lane may outlive the reader: it owns what it touches.
  setup_.lane->start([files = files_, question] { question->answer = files->answer(*question); },
                     [this, question] {
                       settle(question, std::move(question->answer));
                       next();
                     });
}

void Reader::settle(const std::shared_ptr<Question>& question, Answer answer) {
  if (!question->reply) return;
  std::exchange(question->reply, nullptr)(std::move(answer));
  if (question->alarm) question->alarm->ring();
}

}  // namespace perjoule::query
