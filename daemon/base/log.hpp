// Log lines on stderr, as logfmt or JSON: one per change of state, never one per poll. Log: any thread. A line that
// cannot be written is lost without an error; a reader of stderr that stops reading blocks the caller (Log::write).
//
// If journald reads stderr, each line begins with its priority (`<4>`, sd-daemon(3)). journald removes it and stores it
// as PRIORITY, so that `journalctl -p warning` works.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "config/settings.hpp"

namespace perjoule {

class Log {
 public:
  // `journal`: journald reads stderr, so lines get a priority.
  explicit Log(config::Log settings, bool journal = false)
      : level_(settings.level), format_(settings.format), journal_(journal) {}

  using Field = std::pair<std::string_view, std::string_view>;
  // Blocks while stderr is a pipe or socket whose buffer is full.
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

 private:
  std::atomic<config::LogLevel> level_;
  config::LogFormat format_;
  bool journal_;
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
