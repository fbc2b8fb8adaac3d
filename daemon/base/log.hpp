// Log lines on stderr, as logfmt or JSON: one per change of state, never one per poll. Log: any thread. In the daemon a
// thread writes them, so that a reader of stderr that stops reading blocks no one else (LineWriter).
//
// If journald reads stderr, each line begins with its priority (`<4>`, sd-daemon(3)). journald removes it and stores it
// as PRIORITY, so that `journalctl -p warning` works.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "config/settings.hpp"
#include "daemon/base/line_writer.hpp"

namespace perjoule {

class Log {
 public:
  // `journal`: journald reads stderr, so lines get a priority.
  explicit Log(config::Log settings, bool journal = false)
      : level_(settings.level), format_(settings.format), journal_(journal) {}

  using Field = std::pair<std::string_view, std::string_view>;
  // Starts the thread that writes. To be called before another thread uses the log; throws like LineWriter.
  void start_writer();
  // Passes the line to that thread; where there is none, as in the commands, writes it before it returns.
  void write(config::LogLevel level, std::string_view message, std::initializer_list<Field> fields = {}) const;
  void debug(std::string_view message, std::initializer_list<Field> fields = {}) const {
    write(config::LogLevel::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<Field> fields = {}) const {
    write(config::LogLevel::info, message, fields);
  }
  void warn(std::string_view message, std::initializer_list<Field> fields = {}) const {
    write(config::LogLevel::warn, message, fields);
  }
  void error(std::string_view message, std::initializer_list<Field> fields = {}) const {
    write(config::LogLevel::error, message, fields);
  }
  void set_level(config::LogLevel level) { level_ = level; }
  // Waits a moment for the thread: before _exit(), which would not.
  void flush() {
    if (writer_) writer_->flush();
  }
  // Lines that stderr did not take.
  [[nodiscard]] std::uint64_t dropped() const { return writer_ ? writer_->dropped() : 0; }

 private:
  std::atomic<config::LogLevel> level_;
  config::LogFormat format_;
  bool journal_;
  std::unique_ptr<LineWriter> writer_;
};

// Limits the lines about one subject (a source, a device) to ten in ten minutes, so that a sensor that fails at every
// other call does not log at every poll. The window starts with the subject's first line. One thread at a time.
class LogRateLimit {
 public:
  static constexpr int lines = 10;
  static constexpr std::int64_t window_ns = 600'000'000'000;
  enum class Verdict : std::uint8_t { say, say_last, hold };  // say_last: later lines of this window are suppressed
  [[nodiscard]] Verdict ask(std::string_view subject, std::int64_t steady_ns);

 private:
  struct Spoken {
    std::int64_t since_ns = 0;  // start of the window, steady clock
    int said = 0;               // lines in it
  };
  std::map<std::string, Spoken, std::less<>> subjects_;  // one per source and device; never removed
};

// Whether $JOURNAL_STREAM ("DEVICE:INODE", systemd.exec(5)) names the file with this device and inode. The variable
// alone proves nothing: a shell may have redirected stderr after systemd set it.
[[nodiscard]] bool is_journal(std::string_view journal_stream, std::uint64_t device, std::uint64_t inode);
// Puts the priority in front of each line of `text`.
[[nodiscard]] std::string with_priority(config::LogLevel level, std::string_view text);

// One line as write() prints it, without the newline. Fields with an empty value are left out. `wall_ms`: milliseconds
// since the epoch.
[[nodiscard]] std::string format_line(config::LogFormat format, std::int64_t wall_ms, config::LogLevel level,
                                      std::string_view message, std::initializer_list<Log::Field> fields);

}  // namespace perjoule
