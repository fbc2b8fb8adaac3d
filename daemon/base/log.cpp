#include "daemon/base/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "config/json_writer.hpp"
#include "config/text.hpp"

namespace perjoule {

namespace {

std::string_view name(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug:
      return "debug";
    case config::LogLevel::info:
      return "info";
    case config::LogLevel::warn:
      return "warn";
    case config::LogLevel::error:
      return "error";
  }
  return "unknown";
}

// The numbers of syslog(3).
int priority(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::debug:
      return 7;
    case config::LogLevel::info:
      return 6;
    case config::LogLevel::warn:
      return 4;
    case config::LogLevel::error:
      break;
  }
  return 3;
}

bool needs_quotes(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte >= 0x7F || c == '"' || c == '\\' || c == '=';
}

void append_value(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && std::none_of(value.begin(), value.end(), needs_quotes);
  if (plain) {
    line += value;
  } else {
    text::append_quoted(line, value);
  }
}

}  // namespace

std::string format_line(config::LogFormat format, std::int64_t wall_ms, config::LogLevel level,
                        std::string_view message, std::initializer_list<Log::Field> fields) {
  const std::string time = text::rfc3339(wall_ms, text::Decimals::three);
  std::string line;
  if (format == config::LogFormat::logfmt) {
    line = fmt::format("time={} level={} msg=", time, name(level));
    append_value(line, message);
    for (const auto& [key, value] : fields) {
      if (value.empty()) continue;
      line.append(" ").append(key).append("=");
      append_value(line, value);
    }
    return line;
  }
  JsonWriter json(line);
  json.begin_object().member("time", time).member("level", name(level)).member("msg", message);
  for (const auto& [key, value] : fields) {
    if (!value.empty()) json.member(key, value);
  }
  json.end_object();
  return line;
}

LogRateLimit::Verdict LogRateLimit::ask(std::string_view subject, std::int64_t steady_ns) {
  auto [found, added] = subjects_.try_emplace(std::string(subject));
  Spoken& spoken = found->second;
  if (added || steady_ns - spoken.since_ns >= window_ns) spoken = {steady_ns, 0};
  if (spoken.said >= lines) return Verdict::hold;
  return ++spoken.said == lines ? Verdict::say_last : Verdict::say;
}

bool is_journal(std::string_view journal_stream, std::uint64_t device, std::uint64_t inode) {
  return journal_stream == fmt::format("{}:{}", device, inode);
}

std::string with_priority(config::LogLevel level, std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    lines += fmt::format("<{}>{}", priority(level), text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

void Log::write(config::LogLevel level, std::string_view message, std::initializer_list<Field> fields) const {
  if (level < level_.load()) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string line =
      format_line(format_, std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), level, message, fields);
  line += '\n';
  if (journal_) line = with_priority(level, line);
  // One write per line, so that lines of several threads do not mix. Errors are ignored: when stderr is closed or the
  // disk below it is full, lines are lost and the daemon goes on (main.cpp ignores SIGPIPE). But stderr is a blocking
  // descriptor that other processes may share: while a pipe or journald's socket is full because its reader has
  // stopped, write(2) blocks the calling thread. If that is the loop, the watchdog ends the daemon after WatchdogSec.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace perjoule
