// Writes lines to a descriptor that may stop taking them: a pipe whose reader has stopped, journald's socket, a file on
// a disk that hangs.
//
// push() never waits for the descriptor: a thread writes the lines, in their order and one write(2) each. When its
// queue is full, lines are dropped and counted until half of the queue is free; the next line is then preceded by one
// that says how many were lost. The descriptor stays blocking, since O_NONBLOCK would hold for every process that
// shares it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace perjoule {

// Thread-safe.
class LineWriter {
 public:
  static constexpr std::size_t bytes_max = 256 * 1024;  // of the lines that are not written yet
  static constexpr std::chrono::milliseconds flush_limit{250};
  // The line that says how many lines were lost. Called on the writer's thread.
  using LostLine = std::function<std::string(std::uint64_t lines)>;

  // Starts the thread; throws std::system_error where none can be created. The caller keeps the descriptor open.
  LineWriter(int descriptor, LostLine lost_line);
  // Flushes. A thread that still hangs in write(2) is left behind and owns what it uses.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` with its newline.
  void push(std::string line);
  // Waits until every line is written, at most for flush_limit. True: they are.
  bool flush();
  // Lines that were lost since the start: the queue was full, or write(2) failed.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// From now on a fatal signal (SIGABRT, SIGSEGV, ..) gives the writers of this process up to flush_limit to write their
// lines before it ends the process as it would have done. Signals that already have a handler keep it.
void write_lines_before_a_crash();

}  // namespace perjoule
