// Answers queries of the history on a lane (thread) of its own, through its own read-only connection.
//
// The web thread calls ask(), the loop owns the queue, the lane reads history.db. A query that is not answered at its
// deadline gets HTTP 503, and its evaluation stops soon after. If the disk hangs, the lane stays blocked and all
// further queries get 503, but nothing else is affected. The destructor runs on the loop and answers all open queries
// with 503.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/query/api.hpp"
#include "storage/reading.hpp"

namespace perjoule::query {

class Reader {
 public:
  using Reply = std::function<void(Answer)>;  // called on the loop, once
  using Evaluate = std::function<Answer(std::string_view, const Parameters&, const Environment&)>;

  // Stack of the lane: enough for the deepest allowed query, also with sanitizers.
  static constexpr std::size_t stack_bytes = std::size_t{1} << 20;

  struct Setup {
    asio::io_context& loop;
    Clock& clock;
    std::unique_ptr<Lane> lane;
    std::filesystem::path history;  // path of history.db
    std::vector<const Metric*> metrics;
    Build build;
    bool (*is_histogram)(const Metric&) = nullptr;  // whether one of `metrics` is
    std::int64_t deadline_ms = 10'000;              // from ask() to the answer
    std::size_t waiting_max = 32;                   // queries in the queue; more are refused with 503
    // The connection, which the writer closes where it has to; null: the reader makes its own.
    std::shared_ptr<storage::Reading> reading = nullptr;
    // Whether the memory for one more answer is there, asked before a query runs; else 503. Empty: always.
    std::function<bool()> has_room = {};
    Evaluate evaluate = answer;
  };

  explicit Reader(Setup setup);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Any thread, during the reader's lifetime. `path` as for answer(). If the loop has ended, `reply` is never called.
  void ask(std::string path, Parameters parameters, Reply reply);

 private:
  struct Work;
  struct Question;
  class Files;

  void enqueue(const std::shared_ptr<Question>& question);
  asio::awaitable<void> expire(std::shared_ptr<Question> question);
  void next();
  static void settle(Question& question, Answer answer);

  Setup setup_;
  std::shared_ptr<Files> files_;
  std::deque<std::shared_ptr<Question>> waiting_;
  std::shared_ptr<Question> asked_;  // on the lane now
  // Handlers that were posted to the loop hold a weak_ptr to it, to detect that the reader was destroyed.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace perjoule::query
