#include "storage/sqlite/database_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <system_error>

#include "config/text.hpp"

namespace perjoule::storage {

namespace fs = std::filesystem;

namespace {

constexpr int kept_max = 16;
// Bounds the memory for a file of any size: 1 MiB of cached pages and no memory mapping. Temporary data is in
// memory and not in files, because the disk may be full.
constexpr const char* bounded_memory = "PRAGMA cache_size=-1024; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY";
constexpr std::array companions = {"-wal", "-shm", "-journal"};

fs::path beside(const fs::path& path, std::string_view suffix) {
  return path.string() + std::string(suffix);
}

std::int64_t size_or_zero(const fs::path& path) {
  std::error_code error;
  auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

// Why the file cannot be ours; nullopt: it may be. Decided from its first bytes before SQLite opens it, because opening
// could change a foreign file (by rolling back its journal). Our main file always contains `application_id`, because
// that is written before the file enters WAL mode. Source: sqlite.org/fileformat2.html, section 1.3.
Result<std::optional<std::string>> why_foreign(const fs::path& path, const Format& format) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return error_from_errno(errno, path.string());
  }
  if (!S_ISREG(status.st_mode)) return std::optional<std::string>("it is not a regular file");
  if (status.st_size == 0) {
    if (size_or_zero(beside(path, "-wal")) == 0) return std::optional<std::string>();
    return std::optional<std::string>("it is empty beside a write-ahead log that is not");
  }
  if (::access(path.c_str(), R_OK) != 0) return error_from_errno(errno, path.string());
  std::array<unsigned char, 100> header{};
  const auto count = Connection::peek(path, header);
  if (!count) return count.error();
  // The power failed while the file was created: SQLite will roll the journal back.
  const bool blank = std::all_of(header.begin(), header.end(), [](unsigned char byte) { return byte == 0; });
  if (blank && size_or_zero(beside(path, "-journal")) > 0) return std::optional<std::string>();
  if (*count != header.size() || std::memcmp(header.data(), "SQLite format 3", 16) != 0) {
    return std::optional<std::string>("it is not an SQLite database");
  }
  if (big_endian(&header[68]) != static_cast<std::uint32_t>(format.application_id)) {
    return std::optional<std::string>(fmt::format("it is not a perjoule {}", format.what));
  }
  return std::optional<std::string>();
}

// The files that were kept aside of this database so far.
int count_kept(const fs::path& path) {
  int kept = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    const bool companion =
        std::any_of(companions.begin(), companions.end(), [&](const char* suffix) { return name.ends_with(suffix); });
    if (name.starts_with(path.filename().string() + ".kept-") && !companion) ++kept;
  }
  return kept;
}

// A name for the file that is not in use.
fs::path kept_name(const fs::path& path, std::int64_t now_ms) {
  // Colons have no place in a file's name.
  std::string time = text::rfc3339(now_ms, text::Decimals::none);
  std::replace(time.begin(), time.end(), ':', '-');
  const std::string stem = fmt::format("{}.kept-{}", path.string(), time);
  fs::path target = stem;
  std::error_code error;
  const auto in_use = [&error](const fs::path& name) { return fs::exists(fs::symlink_status(name, error)); };
  for (int n = 1; in_use(target) || in_use(beside(target, "-wal")) || in_use(beside(target, "-shm")); ++n)
    target = fmt::format("{}-{}", stem, n);
  return target;
}

Result<void> keep_aside(const fs::path& path, std::string_view why, std::int64_t now_ms, Notes& notes) {
  if (const int kept = count_kept(path); kept >= kept_max) {
    return Error{Fault::denied,
                 fmt::format("{}: {}; it cannot be renamed: {} kept files exist already", path.string(), why, kept),
                 fmt::format("remove the {}.kept-* files that are not needed", path.string())};
  }
  const fs::path target = kept_name(path, now_ms);
  std::error_code error;
  fs::rename(path, target, error);
  if (error) return error_from_errno(error.value(), fmt::format("rename {} to {}", path.string(), target.string()));
  for (const char* suffix : companions)
    fs::rename(beside(path, suffix), beside(target, suffix), error);
  notes.push_back(fmt::format("{}: {}; it was renamed to {} and a new {} was created", path.string(), why,
                              target.string(), path.filename().string()));
  return {};
}

// Why an open file of ours has to be set aside; "": it is good.
Result<std::string> damage(Connection& connection, const Format& format) {
  auto version = connection.integer("PRAGMA user_version");
  if (version && *version > static_cast<std::int64_t>(format.migrations.size())) {
    return fmt::format("it was written by a newer version (format {}, this one knows {})", *version,
                       format.migrations.size());
  }
  auto check = version ? connection.quick_check() : Result<std::string>(version.error());
  if (check) return *check == "ok" ? std::string() : fmt::format("it is damaged ({})", *check);
  if (connection.cause() != Cause::corrupt) return check.error();
  return fmt::format("it is damaged ({})", check.error().what);
}

// A new file is created outside WAL mode, so that application_id is in the main file from the first commit on.
// auto_vacuum writes the header, so it is set in the same transaction as application_id, and before the transaction
// writes anything else.
Result<void> migrate(Connection& connection, const Format& format) {
  auto version = connection.integer("PRAGMA user_version");
  if (!version) return version.error();
  for (std::size_t next = static_cast<std::size_t>(*version); next < format.migrations.size(); ++next) {
    const bool fresh = next == 0;
    auto apply = [&] {
      return connection.run(fmt::format("{}PRAGMA application_id={}; PRAGMA user_version={}; {}",
                                        fresh ? "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; " : "",
                                        format.application_id, next + 1, format.migrations[next]));
    };
    auto applied = connection.transaction(apply, fresh ? Connection::Begin::deferred : Connection::Begin::immediate);
    if (!applied) return applied;
  }
  return {};
}

Result<Connection> open_writable(const fs::path& path) {
  auto connection = Connection::open(path, Connection::Mode::read_write);
  if (!connection) return connection;
  // SQLite silently opens a file read-only if it may not write it.
  if (!connection->writable()) {
    return Error{Fault::denied, fmt::format("{}: no write permission, or a read-only file system", path.string()),
                 "chown it to the daemon's user, or mount its file system read-write"};
  }
  return connection;
}

}  // namespace

Result<Connection> open_database(const fs::path& path, const Format& format, std::int64_t now_ms, Notes& notes) {
  auto why = why_foreign(path, format);
  if (!why) return why.error();
  if (*why) {
    if (auto kept = keep_aside(path, **why, now_ms, notes); !kept) return kept.error();
  }
  auto connection = open_writable(path);
  if (!connection) return connection;
  auto problem = damage(*connection, format);
  if (!problem) return problem.error();
  if (!problem->empty()) {
    connection->leave_as_is();
    { const Connection closed = std::move(*connection); }
    if (auto kept = keep_aside(path, *problem, now_ms, notes); !kept) return kept.error();
    connection = open_writable(path);
    if (!connection) return connection;
  }
  if (auto migrated = migrate(*connection, format); !migrated) return migrated.error();
  auto set = connection->run(
      fmt::format("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=8388608; "
                  "PRAGMA cell_size_check=ON; {}",
                  bounded_memory));
  if (!set) return set.error();
  connection->checkpoint_at(format.wal_pages);
  // Opens the WAL and its index, which are remembered with the file.
  if (auto read = connection->integer("SELECT count(*) FROM sqlite_schema"); !read) return read.error();
  connection->remember_files();
  return connection;
}

Result<std::string> defect_of(const fs::path& path, const Format& format) {
  auto why = why_foreign(path, format);
  if (!why || *why) return why ? Result<std::string>(**why) : why.error();
  auto connection = Connection::open(path, Connection::Mode::read_only);
  if (!connection) return connection.error();
  connection->leave_as_is();
  if (auto set = connection->run(bounded_memory); !set && connection->cause() != Cause::corrupt) return set.error();
  return damage(*connection, format);
}

Result<std::string> set_aside(const fs::path& path, Aside what, std::int64_t now_ms) {
  const bool full = count_kept(path) >= kept_max;
  const fs::path target = kept_name(path, now_ms);
  std::string moved;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const fs::path from = beside(path, suffix);
    std::error_code error;
    if ((what == Aside::logs && *suffix == '\0') || !fs::exists(fs::symlink_status(from, error))) continue;
    if (full) {
      fs::remove_all(from, error);
    } else {
      fs::rename(from, beside(target, suffix), error);
    }
    if (error) return error_from_errno(error.value(), fmt::format("set aside {}", from.string()));
    moved += (moved.empty() ? "" : ", ") + from.filename().string();
  }
  if (moved.empty()) return moved;
  return full ? fmt::format("{} removed, because {} kept files exist already", moved, kept_max)
              : fmt::format("{} renamed to {}", moved, target.filename().string());
}

Result<Connection> open_database_read_only(const fs::path& path, const Format& format) {
  // Check first, because SQLite returns the same error for a missing file and for one without permission.
  std::error_code unknown;
  if (!fs::exists(path, unknown) && !unknown) {
    return Error{Fault::absent, fmt::format("{}: no such file", path.string()),
                 "give the daemon's directory with --storage.path; a daemon that has just started creates the file "
                 "within --storage.commit"};
  }
  auto why = why_foreign(path, format);
  if (!why) return why.error();
  if (*why) return Error{Fault::broken, fmt::format("{}: {}", path.string(), **why)};
  auto connection = Connection::open(path, Connection::Mode::read_only);
  if (!connection) return connection;
  auto version = connection->integer("PRAGMA user_version");
  // Without a running daemon there may be no WAL index (-shm), and it cannot be created in a read-only directory. With
  // an empty or missing WAL, the main file is complete and can be read without it.
  const bool no_index = connection->cause() == Cause::cannot_open || connection->cause() == Cause::read_only;
  if (!version && no_index && size_or_zero(beside(path, "-wal")) == 0) {
    connection = Connection::open(path, Connection::Mode::immutable);
    if (!connection) return connection;
    version = connection->integer("PRAGMA user_version");
  }
  if (!version) return version.error();
  if (*version < 1 || *version > static_cast<std::int64_t>(format.migrations.size())) {
    return Error{Fault::broken, fmt::format("{}: has format {}, this version reads 1 to {}", path.string(), *version,
                                            format.migrations.size())};
  }
  // 2 MiB of pages: enough for those that a refreshing dashboard reads repeatedly.
  if (auto set = connection->run(fmt::format("{}; PRAGMA cache_size=-2048", bounded_memory)); !set) return set.error();
  connection->remember_files();
  return connection;
}

}  // namespace perjoule::storage
