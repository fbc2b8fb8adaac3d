// The reader lane: answers queries of the history on a thread of its own, over its own read-only connection.
//
// The web thread asks, the loop keeps the queue, the lane reads. An answer that is not there at the deadline is a 503,
// and the work behind it ends soon after; a disk that hangs costs the lane, and nothing but further 503s. Whoever
// destroys the reader, on the loop, has what was asked answered with 503 first.
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

namespace perjoule::query {

class Reader {
 public:
  using Reply = std::function<void(Answer)>;  // called on the loop, once
  using Evaluate = std::function<Answer(std::string_view, const Parameters&, const Environment&)>;

  static constexpr std::size_t stack_bytes = std::size_t{1} << 20;  // of its lane: the deepest query, also sanitized

  struct Setup {
    asio::io_context& loop;
    Clock& clock;
    std::unique_ptr<Lane> lane;
    std::filesystem::path history;  // history.db
    std::vector<const Metric*> metrics;
    Build build;
    std::int64_t deadline_ms = 10'000;
    std::size_t waiting_max = 32;
    Evaluate evaluate = answer;
  };

  explicit Reader(Setup setup);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Any thread, while the reader lives. `path` as answer() takes it. A loop that has ended answers nobody.
  void ask(std::string path, Parameters parameters, Reply reply);

 private:
  struct Work;
  struct Question;
  class Files;

  void take(const std::shared_ptr<Question>& question);
  asio::awaitable<void> expire(std::shared_ptr<Question> question);
  void next();
  static void settle(Question& question, Answer answer);

  Setup setup_;
  std::shared_ptr<Files> files_;
  std::deque<std::shared_ptr<Question>> waiting_;
  std::shared_ptr<Question> asked_;                                         // what the lane works on
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // for what was posted to the loop
};

}  // namespace perjoule::query
