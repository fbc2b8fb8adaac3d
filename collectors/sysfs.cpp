#include "collectors/sysfs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include "config/text.hpp"

namespace perjoule::sysfs {

namespace {

constexpr std::size_t cpus_max = 8192;

// How many Files may keep their descriptor, and how many do. Of the process, because its descriptors are.
struct KeptOpen {
  std::atomic<std::size_t> max = std::numeric_limits<std::size_t>::max();
  std::atomic<std::size_t> count = 0;
};
KeptOpen& kept_open() {
  static KeptOpen kept;
  return kept;
}

std::string_view trimmed(std::string_view text) {
  std::size_t size = text.size();
  while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\n' || text[size - 1] == '\t' ||
                      text[size - 1] == '\r' || text[size - 1] == '\0')) {
    --size;
  }
  return text.substr(0, size);
}

Error failed(const std::filesystem::path& path) {
  return error_from_errno(errno, path.native());
}

Error too_long(const std::filesystem::path& path, std::size_t limit) {
  return {Fault::transient, fmt::format("{}: longer than {} bytes", path.native(), limit)};
}

// Adds the path to a parser's error, since the parser knows only the content.
template <class T>
Result<T> named(Result<T> value, const std::filesystem::path& path) {
  if (value) return value;
  return Error{value.error().fault, fmt::format("{}: {}", path.native(), value.error().what)};
}

// File content goes into a log line: at most 40 bytes of it.
std::string shown(std::string_view text) {
  return text::printable(text.substr(0, 40));
}

template <class T>
Result<T> parse_number(std::string_view text) {
  text = trimmed(text);
  T value = 0;
  const char* end = text.data() + text.size();
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' && text[1] != '-' ? 1 : 0);
  const auto [stop, code] = std::from_chars(begin, end, value);
  if (code == std::errc() && stop == end) return value;
  const char* why = code == std::errc::result_out_of_range ? "is out of range" : "is not a whole number";
  return Error{Fault::transient, fmt::format("\"{}\" {}", shown(text), why)};
}

// Closes the descriptor at the end of a scope. Files are opened with O_NONBLOCK: without it, opening a FIFO would wait
// for a writer.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

Result<void> must_be_regular(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return failed(path);
  if (!S_ISREG(status.st_mode)) {
    return Error{Fault::transient, fmt::format("{}: not a regular file", path.native())};
  }
  return {};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_digit(text[size]))
    ++size;
  std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  while (digits.size() > 1 && digits.front() == '0')
    digits.remove_prefix(1);
  return digits;
}

// hwmon2 before hwmon10. Names that differ only in leading zeros are compared bytewise.
bool natural_less(const std::string& left, const std::string& right) {
  std::string_view a = left;
  std::string_view b = right;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::string_view x = take_digits(a);
      const std::string_view y = take_digits(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a.front() != b.front()) return a.front() < b.front();
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  if (a.empty() != b.empty()) return a.empty();
  return left < right;
}

}  // namespace

void keep_open_at_most(std::size_t files) {
  kept_open().max = files;
}

File::~File() {
  close();
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      kept_(std::exchange(other.kept_, false)),
      buffer_(std::move(other.buffer_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(kept_, other.kept_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

void File::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (std::exchange(kept_, false)) --kept_open().count;
}

Result<std::size_t> File::read(char* to, std::size_t bytes) {
  if (descriptor_ < 0) descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) return failed(path_);
  ssize_t size = 0;
  do {
    size = ::pread(descriptor_, to, bytes, 0);
    if (size < 0 && errno == ESPIPE) size = ::read(descriptor_, to, bytes);
  } while (size < 0 && errno == EINTR);
  const int number = errno;
  if (size > 0 && !kept_) {
    kept_ = ++kept_open().count <= kept_open().max;
    if (!kept_) --kept_open().count;
  }
  if (size <= 0 || !kept_) close();
  if (size > 0) return static_cast<std::size_t>(size);
  if (size == 0) return std::size_t{0};
  return error_from_errno(number, path_.native());
}

Result<std::string_view> File::head(std::size_t bytes) {
  if (buffer_.size() < bytes) buffer_.resize(bytes);
  const Result<std::size_t> size = read(buffer_.data(), bytes);
  if (!size) return size.error();
  return std::string_view(buffer_).substr(0, *size);
}

Result<std::string_view> File::text() {
  // Read into the stack and keep only the content: a chip has hundreds of files of a few bytes, each with a File.
  std::array<char, text_max + 1> page;  // NOLINT(cppcoreguidelines-pro-type-member-init): 4 KiB per read
  const Result<std::size_t> size = read(page.data(), page.size());
  if (!size) return size.error();
  if (*size > text_max) return too_long(path_, text_max);
  buffer_ = trimmed({page.data(), *size});
  return std::string_view(buffer_);
}

Result<std::int64_t> File::integer() {
  const Result<std::string_view> value = text();
  if (!value) return value.error();
  return named(parse_integer(*value), path_);
}

Result<std::uint64_t> File::unsigned_integer() {
  const Result<std::string_view> value = text();
  if (!value) return value.error();
  return named(parse_unsigned(*value), path_);
}

Result<std::string> read_whole(const std::filesystem::path& path, std::size_t limit) {
  if (Result<void> regular = must_be_regular(path); !regular) return regular.error();
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number < 0) return failed(path);
  std::string text;
  for (;;) {
    const std::size_t kept = text.size();
    text.resize(std::min(limit + 1, std::max<std::size_t>(2 * kept, text_max)));
    const ssize_t size = ::read(file.number, text.data() + kept, text.size() - kept);
    if (size < 0 && errno != EINTR) return failed(path);
    text.resize(kept + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (text.size() > limit) return too_long(path, limit);
    if (size == 0) return text;
  }
}

Result<std::string> read_text(const std::filesystem::path& path) {
  Result<std::string> text = read_whole(path, text_max);
  if (text) text->resize(trimmed(*text).size());
  return text;
}

Result<std::int64_t> read_integer(const std::filesystem::path& path) {
  const Result<std::string> text = read_text(path);
  if (!text) return text.error();
  return named(parse_integer(*text), path);
}

Result<void> readable(const std::filesystem::path& path) {
  if (Result<void> regular = must_be_regular(path); !regular) return regular;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number < 0) return failed(path);
  return {};
}

Result<std::int64_t> parse_integer(std::string_view text) {
  return parse_number<std::int64_t>(text);
}
Result<std::uint64_t> parse_unsigned(std::string_view text) {
  return parse_number<std::uint64_t>(text);
}

Result<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
  const std::string_view whole = trimmed(text);
  Error malformed{Fault::transient, fmt::format("\"{}\" is not a list of cpus", shown(whole))};
  std::vector<unsigned> cpus;
  for (std::string_view rest = whole; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view range = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (comma != std::string_view::npos && rest.empty()) return malformed;
    const std::size_t dash = range.find('-');
    const Result<std::uint64_t> first = parse_unsigned(range.substr(0, dash));
    const Result<std::uint64_t> last = dash == std::string_view::npos ? first : parse_unsigned(range.substr(dash + 1));
    if (!first || !last || *first > *last || *last > std::numeric_limits<unsigned>::max()) return malformed;
    if (*last - *first >= cpus_max - cpus.size()) {
      return Error{Fault::transient, fmt::format("a list of more than {} cpus", cpus_max)};
    }
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu)
      cpus.push_back(static_cast<unsigned>(cpu));
  }
  return cpus;
}

Result<std::vector<std::string>> list(const std::filesystem::path& directory) {
  std::error_code code;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(directory, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    names.push_back(entry->path().filename().native());
  }
  if (code) return error_from_errno(code.value(), directory.native());
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

}  // namespace perjoule::sysfs
