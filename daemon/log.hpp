// Lines on stderr, logfmt or JSON: one per change of state, never one per poll. Any thread.
#pragma once

#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "config/settings.hpp"

namespace perjoule {

class Log {
 public:
  explicit Log(config::Log settings) : level_(settings.level), format_(settings.format) {}

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
};

// Appends `text` as a JSON string: control characters escaped, invalid UTF-8 as U+FFFD.
void append_quoted(std::string& line, std::string_view text);

// Fields that are empty are left out. One line without its newline, as write() prints it; `wall_ms` since the epoch.
[[nodiscard]] std::string format_line(config::LogFormat format, std::int64_t wall_ms, config::LogLevel level,
                                      std::string_view message, std::initializer_list<Log::Field> fields);

}  // namespace perjoule
