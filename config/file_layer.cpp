// The configuration files: --config.file, then conf.d/*.json beside it in name order. Objects are merged; any other
// value replaces the earlier one.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "config/layers.hpp"
#include "config/secrets.hpp"
#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule::config {
namespace {

std::string message(int number) {
  return std::generic_category().message(number);
}

// Reads regular files only: a FIFO would block a reload for ever.
Checked<std::string> read_whole(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    const int number = errno;
    return Complaint{"cannot read: " + message(number),
                     number == ENOENT ? "" : "make it readable for the daemon's user"};
  }
  std::string text;
  Complaint complaint;
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    complaint.what = "not a regular file";
  } else {
    // Reads one part beyond the limit, so that a file that is too long is recognised (by json::read).
    std::array<char, 16384> part{};
    while (text.size() <= json::text_max) {
      const ssize_t count = ::read(descriptor, part.data(), part.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) complaint.what = "cannot read: " + message(errno);
      if (count <= 0) break;
      text.append(part.data(), static_cast<std::size_t>(count));
    }
  }
  ::close(descriptor);
  if (!complaint.what.empty()) return complaint;
  return Checked<std::string>(boost::system::in_place_value, std::move(text));
}

// Members that the daemon ignores: "$schema" is for editors, "//" and "x-..." are remarks.
bool is_remark(std::string_view key) {
  return key == "$schema" || key == "//" || key.starts_with("x-");
}

std::string shown(std::string_view key) {
  const std::string quoted = text::quoted_short(key);
  return quoted.size() == key.size() + 2 ? std::string(key) : quoted;
}

}  // namespace

struct Layers::File {
  std::string name;
  std::string text;  // with its secrets masked, at the same offsets

  [[nodiscard]] Refusal where(const Place& place) const {
    Excerpt line = excerpt(text, place.offset);
    Refusal refusal;
    refusal.file = name;
    refusal.line = place.line;
    refusal.column = place.column;
    refusal.length = place.length;
    refusal.source_line = std::move(line.line);
    refusal.caret = line.caret;
    return refusal;
  }
  [[nodiscard]] Refusal refusal(const Place& place, std::string path, std::string what, std::string help) const {
    Refusal made = where(place);
    made.path = std::move(path);
    made.what = std::move(what);
    made.help = std::move(help);
    return made;
  }
};

void Layers::add_files(const std::filesystem::path& file, bool may_be_missing) {
  // Only a file that is certainly not there counts as missing: one that cannot be read or looked for is refused.
  std::error_code missing;
  const bool skipped = may_be_missing && !std::filesystem::exists(file, missing) && !missing;
  if (!skipped) add_file(file);
  const std::filesystem::path directory = file.parent_path() / "conf.d";
  auto refuse_directory = [&](std::string what) {
    Refusal refusal;
    refusal.file = directory.string();
    refusal.what = std::move(what);
    refuse(std::move(refusal));
  };
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.ends_with(".json") && !name.starts_with('.')) names.push_back(std::move(name));
  }
  if (error == std::errc::no_such_file_or_directory) return;
  if (error) return refuse_directory("cannot read: " + error.message());
  if (names.size() > drop_in_files_max) return refuse_directory(fmt::format("more than {} files", drop_in_files_max));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    add_file(directory / name);
}

void Layers::add_file(const std::filesystem::path& path) {
  const Checked<std::string> text = read_whole(path);
  if (!text) {
    Refusal refusal;
    refusal.file = path.string();
    refusal.what = text.error().what;
    refusal.help = text.error().help;
    return refuse(std::move(refusal));
  }
  files_.push_back(path);
  const json::Document document = json::read(*text);
  const File file{path.string(), mask_secrets(document.text, secret_names(keys_))};
  for (const json::Problem& problem : document.problems) {
    // A syntax error repeats what stands there, which may be a secret without its quotes.
    const std::size_t at = problem.place.offset;
    const bool secret = at < file.text.size() && file.text[at] != document.text[at];
    refuse(file.refusal(problem.place, problem.path,
                        problem.what.substr(0, secret ? problem.what.find(", got ") : std::string::npos),
                        problem.help));
  }
  if (!document.root) return;
  if (document.root->type == json::Type::object) return add_section(file, *document.root, "");
  refuse(file.refusal(document.root->place, "",
                      fmt::format("expected an object, got {}", json::with_article(document.root->type)),
                      "the smallest valid configuration is {}"));
}

void Layers::add_section(const File& file, const json::Value& object, const std::string& prefix) {
  for (const json::Value& member : object.items) {
    if (full()) return;
    if (!is_remark(member.key)) add_member(file, member, prefix);
  }
}

void Layers::add_member(const File& file, const json::Value& member, const std::string& prefix) {
  const std::string path = prefix + member.key;
  const bool one_step =
      member.key.find('.') == std::string::npos;  // in a file "web.listen_address" must be written as nested objects
  if (const auto found = index_.find(path); one_step && found != index_.end()) {
    const Key& key = keys_[found->second];
    const std::vector<json::Problem> problems = key.examine ? key.examine(member) : std::vector<json::Problem>{};
    for (const json::Problem& problem : problems)
      refuse(file.refusal(problem.place, problem.path, problem.what, problem.help));
    if (!problems.empty()) {
      slots_[found->second].refused = true;
      return;
    }
    Place place;
    Checked<KeyValue> value = parse_value(key, member, place);
    set(found->second, std::move(value), file.where(place), fmt::format("{}:{}", file.name, place.line));
    return;
  }
  const std::string inside = path + ".";
  const bool section =
      std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) { return key.path.starts_with(inside); });
  if (!one_step || !section) return refuse_unknown(file, member, prefix);
  if (member.type == json::Type::object) return add_section(file, member, inside);
  refuse(
      file.refusal(member.place, path, fmt::format("expected an object, got {}", json::with_article(member.type)), ""));
}

void Layers::refuse_unknown(const File& file, const json::Value& member, const std::string& prefix) {
  const std::vector<std::string_view> known = siblings(prefix);
  std::string help = did_you_mean(member.key, known);
  if (help.empty()) help = fmt::format("known here: {}", fmt::join(known, ", "));
  refuse(file.refusal(member.key_place, prefix + shown(member.key),
                      prefix == "collectors." ? "unknown collector" : "unknown key", std::move(help)));
}

std::vector<std::string_view> Layers::siblings(std::string_view prefix) const {
  std::vector<std::string_view> names;
  for (const Key& key : keys_) {
    if (!key.path.starts_with(prefix)) continue;
    std::string_view name = std::string_view(key.path).substr(prefix.size());
    name = name.substr(0, name.find('.'));
    if (names.empty() || names.back() != name) names.push_back(name);  // the keys of a section are contiguous
  }
  return names;
}

}  // namespace perjoule::config
