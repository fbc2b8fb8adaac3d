// Lines on stderr, logfmt or JSON: one per change of state, never one per poll. Any thread.
//
// Where journald reads them, each line begins with its priority (`<4>`, sd-daemon(3)), which journald takes off again:
// `journalctl -p warning` then shows what matters.
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
  explicit Log(config::Log settings, bool journal = false)
      : level_(settings.level), format_(settings.format), journal_(journal) {}

  using Field = std::pair<std::string_view, std::string_view>;
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

// How often one subject may speak, so that a sensor that fails at every other call does not log at every poll: the
// first few lines of ten minutes. One thread at a time.
class LogRateLimit {
 public:
  static constexpr int lines = 10;
  static constexpr std::int64_t window_ns = 600'000'000'000;
  enum class Verdict : std::uint8_t { say, say_last, hold };  // say_last: what follows in this window is held
  [[nodiscard]] Verdict ask(std::string_view subject, std::int64_t steady_ns);

 private:
  struct Spoken {
    std::int64_t since_ns = 0;
    int said = 0;
  };
  std::map<std::string, Spoken, std::less<>> subjects_;  // as many as there are sources and devices
};

// Whether $JOURNAL_STREAM ("DEVICE:INODE", systemd.exec(5)) names this file: stderr may have been sent elsewhere since.
[[nodiscard]] bool is_journal(std::string_view journal_stream, std::uint64_t device, std::uint64_t inode);
// Each line of the text behind its priority.
[[nodiscard]] std::string with_priority(config::LogLevel level, std::string_view text);

// Fields that are empty are left out. One line without its newline, as write() prints it; `wall_ms` since the epoch.
[[nodiscard]] std::string format_line(config::LogFormat format, std::int64_t wall_ms, config::LogLevel level,
                                      std::string_view message, std::initializer_list<Log::Field> fields);

}  // namespace perjoule
