#include "daemon/base/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

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

// The line with time, newline and, for journald, priority.
std::string printed(config::LogFormat format, bool journal, config::LogLevel level, std::string_view message,
                    std::initializer_list<Log::Field> fields) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  std::string line = format_line(format, now_ms, level, message, fields);
  line += '\n';
  return journal ? with_priority(level, line) : line;
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

void Log::start_writer() {
  // By value: a thread that hangs in write(2) may outlive the log.
  const auto lost_line = [format = format_, journal = journal_](std::uint64_t lines) {
    return printed(format, journal, config::LogLevel::warn, "log lines were lost: stderr did not take them in time",
                   {{"lines", std::to_string(lines)}});
  };
  writer_ = std::make_unique<LineWriter>(STDERR_FILENO, lost_line);
}

void Log::write(config::LogLevel level, std::string_view message, std::initializer_list<Field> fields) const {
  if (level < level_.load()) return;
  std::string line = printed(format_, journal_, level, message, fields);
  if (writer_) return writer_->push(std::move(line));
  // One write per line, so that lines of several threads do not mix. An error loses the line: there is no other place
  // to report it.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace perjoule
