// Readings that a site writes into *.prom files: facility power, circuits, inlet temperatures and work done. Format and
// procedure (write to a temporary name, then rename) are those of node_exporter's textfile collector. Unlike there,
// only metrics of a published list are accepted, a file with an error is refused as a whole, and a file that is no
// longer updated goes stale.
#include <fmt/format.h>
#include <unistd.h>
#include <ctime>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/sensor_metrics.hpp"
#include "collectors/work/metrics.hpp"
#include "collectors/work/regular_file.hpp"
#include "collectors/work/vocabulary.hpp"

namespace perjoule {

namespace {

constexpr std::size_t file_bytes_max = std::size_t{1} << 20;
constexpr std::size_t directory_entries_max = 4096;

Error unreadable(int number, const std::filesystem::path& directory) {
  Error error = error_from_errno(number, directory.native());
  if (error.fault == Fault::denied) error.remedy = fmt::format("chmod a+rx {}", directory.native());
  if (error.fault == Fault::absent) error.remedy = fmt::format("mkdir -p {}", directory.native());
  return error;
}

// Names that end in .prom, in name order. Hidden files are left out: writers use them as temporary files.
Result<std::vector<std::string>> list_files(const std::filesystem::path& directory, Batch& batch) {
  std::error_code code;
  std::vector<std::string> names;
  std::size_t entries = 0;
  std::filesystem::directory_iterator entry(directory, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    if (++entries > directory_entries_max) {
      batch.fault(directory.native(),
                  Error{Fault::transient, fmt::format("{}: more than {} entries; the rest is not read",
                                                      directory.native(), directory_entries_max)});
      break;
    }
    std::string name = entry->path().filename().native();
    if (name.ends_with(".prom") && !name.starts_with('.')) names.push_back(std::move(name));
  }
  if (code) return unreadable(code.value(), directory);
  std::ranges::sort(names);
  return names;
}

class Textfile final : public Collector {
 public:
  Textfile(std::filesystem::path directory, std::int64_t max_age_seconds, std::size_t file_limit)
      : directory_(std::move(directory)), max_age_seconds_(max_age_seconds), file_limit_(file_limit) {}

  Result<void> sample(Batch& batch) override {
    Result<std::vector<std::string>> names = list_files(directory_, batch);
    if (!names) return names.error();
    if (names->size() > file_limit_) {
      batch.fault(directory_.native(),
                  Error{Fault::transient,
                        fmt::format("{}: {} files; the last {} in name order are not read", directory_.native(),
                                    names->size(), names->size() - file_limit_),
                        "raise collectors.textfile.file_limit"});
      names->resize(file_limit_);
    }
    vocabulary_.clear();
    std::map<std::string, Seen> seen;
    for (const std::string& name : *names) {
      Seen& of = seen[name] = seen_[name];
      const Result<void> read = read_file(name, of, batch);
      if (!read && read.error().fault == Fault::absent) continue;  // it was removed meanwhile
      batch.add(textfile_valid, count(read ? 1 : 0), name);
      if (read) {
        batch.ok();
      } else {
        batch.fault(name, read.error());
      }
    }
    seen_ = std::move(seen);
    vocabulary_.emit(batch);
    return {};
  }

 private:
  // What a file was like when it was last read, and since when.
  struct Seen {
    std::int64_t modified_seconds = 0;
    std::size_t text = 0;  // hash
    std::int64_t since_seconds = 0;
  };

  static std::int64_t seconds_of(clockid_t clock) {
    timespec now = {};
    ::clock_gettime(clock, &now);
    return now.tv_sec;
  }

  // A time of writing in the future says nothing, nor does one on a clock that was set back since.
  static std::int64_t age_of(Seen& seen, const RegularFile::Content& content) {
    const std::int64_t now_seconds = seconds_of(CLOCK_BOOTTIME);
    const std::size_t text = std::hash<std::string_view>{}(content.text);
    if (seen.since_seconds == 0 || seen.modified_seconds != content.modified_seconds || seen.text != text)
      seen = {content.modified_seconds, text, now_seconds};
    return std::max(seconds_of(CLOCK_REALTIME) - content.modified_seconds, now_seconds - seen.since_seconds);
  }

  Result<void> read_file(const std::string& name, Seen& seen, Batch& batch) {
    const std::string path = (directory_ / name).native();
    const Result<RegularFile::Content> content = file_.read(path, file_bytes_max);
    if (!content) return content.error();
    const std::int64_t age = age_of(seen, *content);
    batch.add(textfile_age, seconds(static_cast<double>(age)), name);
    if (age > max_age_seconds_) {
      return Error{Fault::transient,
                   fmt::format("{}: last written {} s ago (max_age is {} s)", path, age, max_age_seconds_),
                   "check the job that writes it, or raise collectors.textfile.max_age"};
    }
    const auto error = vocabulary_.add_file(name, content->text);
    if (!error) return {};
    return Error{Fault::transient,
                 fmt::format("{}:{}:{}: {}; the whole file is ignored", path, error->line, error->column, error->what),
                 "`perjouled describe metrics` lists the metrics that a textfile may contain"};
  }

  std::filesystem::path directory_;
  std::int64_t max_age_seconds_;
  std::size_t file_limit_;
  RegularFile file_;
  Vocabulary vocabulary_;
  std::map<std::string, Seen> seen_;
};

constexpr Option option_table[] = {
    {"directory", OptionType::text, "", "Directory of the *.prom files; the collector is inactive without it."},
    {"max_age", OptionType::duration, "5m", "The series of a file that was last written longer ago than this vanish.",
     1, 31'536'000},
    {"file_limit", OptionType::integer, "64", "Maximum number of files to read; the first in name order are read.", 1,
     1024},
};

// Those of the vocabulary, and two about the files.
constexpr std::array<const Metric*, 8> metrics = {
    &facility_power, &circuit_current,    &circuit_rating, &phase_imbalance,
    &work,           &sensor_temperature, &textfile_valid, &textfile_age};

Result<std::vector<Probe>> make(const Options& options, const Roots&) {
  const std::filesystem::path directory = options.text("directory");
  if (directory.empty()) {
    return Error{Fault::absent, "no directory is configured", "set collectors.textfile.directory"};
  }
  if (::access(directory.c_str(), F_OK) != 0) return unreadable(errno, directory);
  std::vector<Probe> probes;
  probes.push_back({"", std::make_unique<Textfile>(directory, static_cast<std::int64_t>(options.number("max_age", 300)),
                                                   static_cast<std::size_t>(options.number("file_limit", 64)))});
  return probes;
}

}  // namespace

extern const Entry textfile_entry;
const Entry textfile_entry = {
    .name = "textfile",
    .help =
        "Facility power, circuit currents, inlet temperatures and work done, from *.prom files that the site writes.",
    .metrics = metrics,
    .options = option_table,
    .period = std::chrono::seconds(15),
    .deadline = std::chrono::seconds(5),
    .make = make,
};

}  // namespace perjoule
