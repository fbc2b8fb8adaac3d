#include "daemon/base/line_writer.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace perjoule;

namespace {

// A pipe of the smallest size; its reading end is in the hands of the test.
class Pipe {
 public:
  Pipe() {
    REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends_[1], F_SETPIPE_SZ, 4096) == 4096);
  }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int in() const { return ends_[1]; }
  [[nodiscard]] int out() const { return ends_[0]; }
  // Everything that comes until nothing has come for `quiet_ms`.
  [[nodiscard]] std::vector<std::string> lines(int quiet_ms = 200) const {
    std::string text;
    std::array<char, 4096> part{};
    for (pollfd ready{ends_[0], POLLIN, 0}; ::poll(&ready, 1, quiet_ms) > 0;) {
      const ssize_t count = ::read(ends_[0], part.data(), part.size());
      REQUIRE(count > 0);
      text.append(part.data(), static_cast<std::size_t>(count));
    }
    std::vector<std::string> found;
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      found.push_back(text.substr(0, end));
    CHECK(text.empty());
    return found;
  }

 private:
  std::array<int, 2> ends_{};
};

std::string lost_line(std::uint64_t lines) {
  return "lost " + std::to_string(lines) + "\n";
}

std::string numbered(int number, std::size_t bytes = 100) {
  std::string line = std::to_string(number) + " ";
  return line.append(bytes - line.size() - 1, 'x') + '\n';
}

// Pushes numbered lines until `count` of them were dropped; returns how many were pushed in all.
int overflow(LineWriter& writer, std::uint64_t count) {
  int number = 0;
  while (writer.dropped() < count)
    writer.push(numbered(number++));
  return number;
}

}  // namespace

TEST_CASE("line writer: with a reader every line arrives whole, in order, and none is lost") {
  const Pipe pipe;
  std::vector<std::string> expected;
  std::vector<std::string> arrived;
  {
    LineWriter writer(pipe.in(), lost_line);
    std::thread reader([&] { arrived = pipe.lines(); });
    std::mt19937_64 random(12);
    for (int number = 0; number < 500; ++number) {
      std::string line = numbered(number, 20 + random() % 20'000);  // also longer than the pipe
      expected.push_back(line.substr(0, line.size() - 1));
      while (number % 12 == 0 && !writer.flush()) {  // the queue holds no more of the longest
      }
      writer.push(std::move(line));
    }
    reader.join();
    CHECK(writer.dropped() == 0);
  }
  CHECK(arrived == expected);
}

TEST_CASE("line writer: without a reader push() returns, what is too much is counted, and a line says it afterwards") {
  const Pipe pipe;
  LineWriter writer(pipe.in(), lost_line);
  const int pushed = overflow(writer, 1000);
  const int kept = pushed - 1000;
  CHECK(kept >= static_cast<int>(LineWriter::bytes_max / 100));
  CHECK(kept <= static_cast<int>((LineWriter::bytes_max + 2 * 4096) / 100));
  CHECK_FALSE(writer.flush());
  const std::vector<std::string> arrived = pipe.lines();
  REQUIRE(arrived.size() == static_cast<std::size_t>(kept) + 1);
  for (int number = 0; number < kept; ++number)
    REQUIRE(arrived[static_cast<std::size_t>(number)] + '\n' == numbered(number));
  CHECK(arrived.back() == "lost 1000");
  CHECK(writer.flush());
  CHECK(writer.dropped() == 1000);
  writer.push("after\n");
  CHECK(pipe.lines() == std::vector<std::string>{"after"});
}

TEST_CASE("line writer: the count of lost lines stands where they are missing, and not between every two lines") {
  const Pipe pipe;
  LineWriter writer(pipe.in(), lost_line);
  int next = overflow(writer, 1);
  std::uint64_t said = 0;
  std::size_t notes = 0;
  int seen = -1;
  // A reader that takes 20 lines for each 30 that come.
  std::string text;
  std::array<char, 2000> part{};
  const auto take = [&] {
    const ssize_t count = ::read(pipe.out(), part.data(), part.size());
    REQUIRE(count > 0);
    text.append(part.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      const std::string line = text.substr(0, end);
      if (line.starts_with("lost ")) {
        const int lost = std::stoi(line.substr(5));
        said += static_cast<std::uint64_t>(lost);
        seen += lost;
        ++notes;
        continue;
      }
      REQUIRE(std::stoi(line) == seen + 1);
      seen = std::stoi(line);
    }
  };
  for (int round = 0; round < 1000; ++round) {
    for (int line = 0; line < 30; ++line)
      writer.push(numbered(next++));
    take();
  }
  while (seen < next - 1)
    take();
  CHECK(said == writer.dropped());
  CHECK(said > 5000);
  CHECK(notes < 20);
}

TEST_CASE("line writer: a descriptor that another process made non-blocking loses nothing") {
  const Pipe pipe;
  REQUIRE(::fcntl(pipe.in(), F_SETFL, O_NONBLOCK) == 0);
  LineWriter writer(pipe.in(), lost_line);
  for (int number = 0; number < 1000; ++number)
    writer.push(numbered(number));
  CHECK(pipe.lines().size() == 1000);
  CHECK(writer.dropped() == 0);
}

TEST_CASE("line writer: lines that write(2) refuses are counted, and what is said later says so") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const int closed = ::dup(ends[0]);
  LineWriter writer(closed, lost_line);
  ::close(closed);
  for (int number = 0; number < 10; ++number)
    writer.push(numbered(number));
  CHECK(writer.flush());
  CHECK(writer.dropped() == 10);
  REQUIRE(::dup2(ends[0], closed) == closed);
  writer.push("works again\n");
  CHECK(writer.flush());
  std::array<char, 100> text{};
  const ssize_t count = ::read(ends[1], text.data(), text.size());
  CHECK(std::string_view(text.data(), static_cast<std::size_t>(count)) == "lost 10\nworks again\n");
  for (const int descriptor : {ends[0], ends[1], closed})
    ::close(descriptor);
}

TEST_CASE("line writer: a line longer than the queue is lost, and the next one is not") {
  const Pipe pipe;
  LineWriter writer(pipe.in(), lost_line);
  writer.push(std::string(LineWriter::bytes_max, 'x') + '\n');
  writer.push("next\n");
  CHECK(writer.flush());
  CHECK(pipe.lines() == std::vector<std::string>{"lost 1", "next"});
}

TEST_CASE("line writer: its end waits for the last lines, but not for a reader that has stopped") {
  const Pipe pipe;
  { LineWriter(pipe.in(), lost_line).push("last words\n"); }
  CHECK(pipe.lines(0) == std::vector<std::string>{"last words"});
  const auto began = std::chrono::steady_clock::now();
  {
    LineWriter writer(pipe.in(), lost_line);
    overflow(writer, 1);
  }
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= LineWriter::flush_limit);
  CHECK(took < std::chrono::seconds(10));
  CHECK(pipe.lines().back() == "lost 1");  // the thread that was left behind goes on
}
