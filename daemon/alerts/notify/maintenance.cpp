#include "daemon/alerts/notify/maintenance.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <system_error>
#include <vector>

#include "config/json_cursor.hpp"
#include "config/json_writer.hpp"
#include "config/text.hpp"

namespace perjoule::alerts {

namespace {

using config::JsonCursor;
using config::json::Type;

constexpr std::size_t file_max = 4096;         // bytes
constexpr std::int64_t tolerance_ms = 60'000;  // from the writing of a file to its reading
constexpr std::array<std::string_view, 2> members = {"until", "reason"};
constexpr std::string_view form = R"(expected { "until": SECONDS or "2026-11-24T10:00:00Z", "reason": "TEXT" })";

Error refusal(std::string_view what) {
  return {Fault::broken, fmt::format("{}; {}", what, form), "sudo perjouled maintenance off"};
}

Error failure(const std::filesystem::path& path, int number) {
  return error_from_errno(number, path.native());
}

std::optional<std::int64_t> read_until(const JsonCursor& until) {
  if (until.is(Type::text)) {
    const std::string text = until.text(file_max).value_or("");
    const std::optional<std::int64_t> time = text::parse_rfc3339(text);
    if (!time) until.refuse(fmt::format("{} is not a time", text::quoted_short(text)));
    return time;
  }
  const std::optional<double> seconds = until.number();
  if (!seconds) return std::nullopt;
  if (*seconds >= 0 && *seconds < 1e11) return static_cast<std::int64_t>(std::llround(*seconds * 1000));
  until.refuse("the number is not in seconds since the epoch");
  return std::nullopt;
}

// Up to one byte more than `file_max`.
Result<std::string> content(const std::filesystem::path& path, int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return failure(path, errno);
  if (!S_ISREG(status.st_mode)) return refusal("it is not a regular file");
  std::string text;
  std::array<char, file_max + 1> buffer{};
  while (text.size() <= file_max) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size() - text.size());
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path, errno);
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(file, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

Result<Maintenance> parse_maintenance(std::string_view text, std::int64_t now_ms) {
  if (text.size() > file_max) return refusal(fmt::format("it has more than {} bytes", file_max));
  config::json::Document document = config::json::read(text);
  if (!document.root) return refusal(document.problems.empty() ? "it is empty" : document.problems.front().what);
  // An empty reason is no reason.
  std::erase_if(document.root->items, [](const config::json::Value& member) {
    return member.key == "reason" && member.type == Type::text && member.text.empty();
  });
  std::vector<config::json::Problem> problems;
  const JsonCursor cursor(*document.root, "", problems);
  Maintenance made;
  if (cursor.expect(Type::object)) {
    cursor.expect_members(members);
    const auto until = cursor.find("until");
    if (!until) cursor.refuse("missing \"until\"");
    if (until) made.until_ms = read_until(*until).value_or(0);
    if (const auto reason = cursor.find("reason")) made.reason = reason->text(reason_max).value_or("");
  }
  if (!problems.empty()) {
    const config::json::Problem& first = problems.front();
    const std::string_view path = std::string_view(first.path).substr(first.path.starts_with('.') ? 1 : 0);
    return refusal(path.empty() ? first.what : fmt::format("{}: {}", path, first.what));
  }
  if (made.until_ms - now_ms > maintenance_max_ms + tolerance_ms)
    return refusal(fmt::format("{} is more than 30 d ahead", text::rfc3339(made.until_ms)));
  return made;
}

std::string maintenance_text(const Maintenance& maintenance) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().member("until", text::rfc3339(maintenance.until_ms));
  if (!maintenance.reason.empty()) json.member("reason", maintenance.reason);
  json.end_object();
  return out + '\n';
}

Result<std::optional<Maintenance>> read_maintenance(const std::filesystem::path& path, std::int64_t now_ms) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0 && errno == ENOENT) return std::optional<Maintenance>();
  if (file < 0) return failure(path, errno);
  const Result<std::string> text = content(path, file);
  ::close(file);
  if (!text) return text.error();
  const Result<Maintenance> parsed = parse_maintenance(*text, now_ms);
  if (!parsed) return parsed.error();
  return std::optional(*parsed);
}

Result<void> write_maintenance(const std::filesystem::path& path, const Maintenance& maintenance) {
  const std::string next = path.native() + ".new";
  ::unlink(next.c_str());  // of a writer that was killed
  const int file = ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return failure(next, errno);
  const bool written =
      write_all(file, maintenance_text(maintenance)) && ::fchmod(file, 0644) == 0 && ::fsync(file) == 0;
  const int number = errno;
  ::close(file);
  if (written && ::rename(next.c_str(), path.c_str()) == 0) return {};
  Error error = failure(path, written ? errno : number);
  ::unlink(next.c_str());
  return error;
}

Result<bool> remove_maintenance(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return failure(path, errno);
}

}  // namespace perjoule::alerts
