#include "tests/fakes/disk.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

namespace perjoule::fakes {

namespace {

enum class Verdict : std::uint8_t {
  go,
  io,
  full,
  cut,  // the power fails during this operation
  off,  // the power is off
};

std::filesystem::path make_directory() {
  const bool memory = ::access("/dev/shm", W_OK) == 0;
  const std::filesystem::path parent = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string pattern = (parent / "perjoule-disk-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

bool refused_when_full(Operation operation) {
  return operation != Operation::read && operation != Operation::remove;
}

int code_of(Operation operation, Verdict verdict) {
  switch (operation) {
    case Operation::open:
      return SQLITE_CANTOPEN;
    case Operation::read:
      return SQLITE_IOERR_READ;
    case Operation::write:
      return verdict == Verdict::full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    case Operation::sync:
      return SQLITE_IOERR_FSYNC;
    case Operation::truncate:
      return SQLITE_IOERR_TRUNCATE;
    case Operation::remove:
      return SQLITE_IOERR_DELETE;
  }
  return SQLITE_IOERR;
}

}  // namespace

struct Disk::Shim {
  enum class Plan : std::uint8_t { none, one, from, random };

  // Decides about the next operation. The caller holds the mutex.
  Verdict next(Operation operation, const std::string& path) {
    if (off) return Verdict::off;
    ++operations;
    ++by_kind[static_cast<std::size_t>(operation)];
    if (watcher) watcher(operations, operation, path);
    if (operations == cut_number) {
      off = true;
      return Verdict::cut;
    }
    const bool struck = (plan == Plan::one && operations == number) || (plan == Plan::from && operations >= number) ||
                        (plan == Plan::random && random() % one_in == 0);
    if (!struck || (fault == DiskFault::full && !refused_when_full(operation))) return Verdict::go;
    ++failed;
    last_kind = operation;
    last_path = path;
    return fault == DiskFault::full ? Verdict::full : Verdict::io;
  }
  [[nodiscard]] bool holds(const char* path) const {
    return path != nullptr && std::string_view(path).starts_with(inside);
  }
  void resize(std::int64_t& size, std::int64_t to) {
    bytes += to - size;
    size = to;
    bytes_peak = std::max(bytes_peak, bytes);
  }
  void set(Plan new_plan, std::uint64_t new_number, DiskFault new_fault) {
    const std::lock_guard lock(mutex);
    plan = new_plan;
    number = new_number;
    fault = new_fault;
  }

  bool remembering = false;
  std::filesystem::path directory;
  std::string inside;  // the directory with a trailing slash
  sqlite3_vfs* real = nullptr;
  sqlite3_vfs vfs{};

  std::mutex mutex;
  std::uint64_t operations = 0;
  std::array<std::uint64_t, 6> by_kind{};
  Watcher watcher;
  Plan plan = Plan::none;
  std::uint64_t number = 0;
  std::uint64_t one_in = 1;
  DiskFault fault = DiskFault::io;
  std::mt19937_64 random;
  std::uint64_t failed = 0;
  Operation last_kind = Operation::open;
  std::string last_path;
  std::uint64_t cut_number = 0;
  bool off = false;
  Durability durability;
  std::map<std::string, std::int64_t> sizes;
  std::int64_t bytes = 0;
  std::int64_t bytes_peak = 0;
};

namespace {

using Shim = Disk::Shim;

// Placed in the memory that SQLite passes to xOpen; the real VFS's file follows it.
struct OpenFile {
  sqlite3_file base{};
  Shim* shim = nullptr;
  sqlite3_file* real = nullptr;
  std::string path;
  Durability::File content;      // null for Memory::forgetful
  std::int64_t* size = nullptr;  // points into Shim::sizes
  bool syncs_directory = false;  // its next sync also syncs the directory, as SQLite does for a new WAL or journal
};

constexpr std::size_t open_file_bytes = (sizeof(OpenFile) + 15) / 16 * 16;

OpenFile& as_open(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

sqlite3_file* real_of(sqlite3_file* file) {
  return as_open(file).real;
}

int x_close(sqlite3_file* file) {
  auto& open = as_open(file);
  const int code = open.real->pMethods->xClose(open.real);
  open.~OpenFile();
  file->pMethods = nullptr;
  return code;
}

int x_read(sqlite3_file* file, void* to, int count, sqlite3_int64 offset) {
  auto& open = as_open(file);
  {
    const std::lock_guard lock(open.shim->mutex);
    const Verdict verdict = open.shim->next(Operation::read, open.path);
    if (verdict != Verdict::go) return code_of(Operation::read, verdict);
  }
  return open.real->pMethods->xRead(open.real, to, count, offset);
}

// The bytes of the file in a range.
std::string bytes_between(OpenFile& open, std::int64_t begin, std::int64_t end) {
  if (end <= begin) return {};
  std::string bytes(static_cast<std::size_t>(end - begin), '\0');
  const int code = open.real->pMethods->xRead(open.real, bytes.data(), static_cast<int>(bytes.size()), begin);
  if (code != SQLITE_OK) std::abort();
  return bytes;
}

int write_through(OpenFile& open, const char* from, int count, std::int64_t offset) {
  if (count == 0) return SQLITE_OK;
  const std::int64_t end = offset + count;
  if (open.content != nullptr) {
    std::string before = bytes_between(open, offset, std::min(end, *open.size));
    open.shim->durability.wrote(*open.content, offset, *open.size, std::move(before),
                                std::string(from, static_cast<std::size_t>(count)));
  }
  if (end > *open.size) open.shim->resize(*open.size, end);
  return open.real->pMethods->xWrite(open.real, from, count, offset);
}

int x_write(sqlite3_file* file, const void* from, int count, sqlite3_int64 offset) {
  auto& open = as_open(file);
  const std::lock_guard lock(open.shim->mutex);
  const auto* bytes = static_cast<const char*>(from);
  const Verdict verdict = open.shim->next(Operation::write, open.path);
  if (verdict == Verdict::off) return SQLITE_IOERR_WRITE;
  if (verdict == Verdict::io || verdict == Verdict::full) {
    // Nothing or the first half, decided by the operation's number, so that a run can be repeated.
    write_through(open, bytes, open.shim->operations % 2 == 0 ? count / 2 : 0, offset);
    return code_of(Operation::write, verdict);
  }
  const int code = write_through(open, bytes, count, offset);
  return verdict == Verdict::cut ? SQLITE_IOERR_WRITE : code;
}

int x_truncate(sqlite3_file* file, sqlite3_int64 size) {
  auto& open = as_open(file);
  const std::lock_guard lock(open.shim->mutex);
  const Verdict verdict = open.shim->next(Operation::truncate, open.path);
  if (verdict != Verdict::go && verdict != Verdict::cut) return code_of(Operation::truncate, verdict);
  if (open.content != nullptr) {
    open.shim->durability.truncated(*open.content, size, *open.size, bytes_between(open, size, *open.size));
  }
  open.shim->resize(*open.size, size);
  const int code = open.real->pMethods->xTruncate(open.real, size);
  return verdict == Verdict::cut ? SQLITE_IOERR_TRUNCATE : code;
}

int x_sync(sqlite3_file* file, int) {
  auto& open = as_open(file);
  const std::lock_guard lock(open.shim->mutex);
  const Verdict verdict = open.shim->next(Operation::sync, open.path);
  if (verdict != Verdict::go) return code_of(Operation::sync, verdict);
  if (open.content != nullptr) {
    Durability::synced(*open.content);
    if (std::exchange(open.syncs_directory, false)) open.shim->durability.synced_directory();
  }
  return SQLITE_OK;
}

int x_file_size(sqlite3_file* file, sqlite3_int64* size) {
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
int x_lock(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xLock(real_of(file), level);
}
int x_unlock(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
int x_check_reserved_lock(sqlite3_file* file, int* held) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}
int x_file_control(sqlite3_file* file, int operation, void* argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}
int x_sector_size(sqlite3_file* file) {
  return real_of(file)->pMethods->xSectorSize(real_of(file));
}
int x_device_characteristics(sqlite3_file* file) {
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
int x_shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, memory);
}
int x_shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
void x_shm_barrier(sqlite3_file* file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}
int x_shm_unmap(sqlite3_file* file, int remove) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

// Version 2 of the interface has no memory mapping, so all I/O goes through these functions.
constexpr sqlite3_io_methods methods = {2,
                                        x_close,
                                        x_read,
                                        x_write,
                                        x_truncate,
                                        x_sync,
                                        x_file_size,
                                        x_lock,
                                        x_unlock,
                                        x_check_reserved_lock,
                                        x_file_control,
                                        x_sector_size,
                                        x_device_characteristics,
                                        x_shm_map,
                                        x_shm_lock,
                                        x_shm_barrier,
                                        x_shm_unmap,
                                        nullptr,
                                        nullptr};

int open_counted(Shim& shim, OpenFile& open, const char* path, int flags, int* out_flags) {
  const std::lock_guard lock(shim.mutex);
  const Verdict verdict = shim.next(Operation::open, path);
  if (verdict != Verdict::go && verdict != Verdict::cut) return SQLITE_CANTOPEN;
  const bool existed = ::access(path, F_OK) == 0;
  const int code = shim.real->xOpen(shim.real, path, open.real, flags, out_flags);
  if (code != SQLITE_OK) return code;
  open.size = &shim.sizes[path];
  sqlite3_int64 size = 0;
  if (open.real->pMethods->xFileSize(open.real, &size) != SQLITE_OK) std::abort();
  shim.resize(*open.size, size);
  if (shim.remembering) {
    open.content = shim.durability.opened(path, existed);
    const int journals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
    open.syncs_directory = (flags & journals) != 0 && (flags & SQLITE_OPEN_CREATE) != 0;
  }
  if (verdict == Verdict::go) return SQLITE_OK;
  open.real->pMethods->xClose(open.real);
  return SQLITE_CANTOPEN;
}

int x_open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  auto& shim = *static_cast<Shim*>(vfs->pAppData);
  if (!shim.holds(path)) return shim.real->xOpen(shim.real, path, file, flags, out_flags);
  auto* open = new (file) OpenFile;
  open->shim = &shim;
  open->real = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + open_file_bytes);
  open->real->pMethods = nullptr;
  open->path = path;
  if (const int code = open_counted(shim, *open, path, flags, out_flags); code != SQLITE_OK) {
    open->~OpenFile();
    file->pMethods = nullptr;
    return code;
  }
  open->base.pMethods = &methods;
  return SQLITE_OK;
}

int x_delete(sqlite3_vfs* vfs, const char* path, int sync_directory) {
  auto& shim = *static_cast<Shim*>(vfs->pAppData);
  if (!shim.holds(path)) return shim.real->xDelete(shim.real, path, sync_directory);
  const std::lock_guard lock(shim.mutex);
  const Verdict verdict = shim.next(Operation::remove, path);
  if (verdict != Verdict::go && verdict != Verdict::cut) return SQLITE_IOERR_DELETE;
  if (shim.remembering) shim.durability.removing(path);
  const int code = shim.real->xDelete(shim.real, path, 0);
  if (code == SQLITE_OK) shim.resize(shim.sizes[path], 0);
  if (verdict == Verdict::cut) return SQLITE_IOERR_DELETE;
  if (shim.remembering && code == SQLITE_OK && sync_directory != 0) shim.durability.synced_directory();
  return code;
}

}  // namespace

Disk::Disk(Memory memory) : shim_(std::make_unique<Shim>()) {
  shim_->remembering = memory == Memory::remembering;
  shim_->directory = make_directory();
  shim_->inside = shim_->directory.string() + "/";
  shim_->real = sqlite3_vfs_find("unix");
  if (shim_->real == nullptr) std::abort();
  shim_->vfs = *shim_->real;
  shim_->vfs.iVersion = 2;
  shim_->vfs.szOsFile = static_cast<int>(open_file_bytes) + shim_->real->szOsFile;
  shim_->vfs.pNext = nullptr;
  shim_->vfs.zName = "perjoule-disk";
  shim_->vfs.pAppData = shim_.get();
  shim_->vfs.xOpen = x_open;
  shim_->vfs.xDelete = x_delete;
  if (sqlite3_vfs_register(&shim_->vfs, 1) != SQLITE_OK) std::abort();
}

Disk::~Disk() {
  sqlite3_vfs_unregister(&shim_->vfs);
  std::error_code ignored;
  std::filesystem::remove_all(shim_->directory, ignored);
}

const std::filesystem::path& Disk::path() const {
  return shim_->directory;
}

std::uint64_t Disk::operations() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->operations;
}

std::uint64_t Disk::operations(Operation operation) const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->by_kind[static_cast<std::size_t>(operation)];
}

std::int64_t Disk::bytes() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->bytes;
}

std::int64_t Disk::bytes_peak() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->bytes_peak;
}

void Disk::watch(Watcher watcher) {
  const std::lock_guard lock(shim_->mutex);
  shim_->watcher = std::move(watcher);
}

void Disk::fail(std::uint64_t number, DiskFault fault) {
  shim_->set(Shim::Plan::one, number, fault);
}

void Disk::fail_from(std::uint64_t number, DiskFault fault) {
  shim_->set(Shim::Plan::from, number, fault);
}

void Disk::fail_randomly(std::uint64_t seed, std::uint64_t one_in, DiskFault fault) {
  shim_->set(Shim::Plan::random, 0, fault);
  const std::lock_guard lock(shim_->mutex);
  shim_->random.seed(seed);
  shim_->one_in = one_in;
}

void Disk::heal() {
  shim_->set(Shim::Plan::none, 0, DiskFault::io);
}

std::uint64_t Disk::failed() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->failed;
}

std::string Disk::last_failed() const {
  const std::lock_guard lock(shim_->mutex);
  if (shim_->failed == 0) return "";
  return std::string(name(shim_->last_kind)) + " " + std::filesystem::path(shim_->last_path).filename().string();
}

Operation Disk::last_operation() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->last_kind;
}

void Disk::cut_at(std::uint64_t number) {
  if (!shim_->remembering) std::abort();
  const std::lock_guard lock(shim_->mutex);
  shim_->cut_number = number;
}

bool Disk::is_cut() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->off;
}

void Disk::after_cut(std::uint64_t seed, Survival survival) {
  const std::lock_guard lock(shim_->mutex);
  if (std::exchange(shim_->off, false)) shim_->durability.cut();
  shim_->cut_number = 0;
  shim_->plan = Shim::Plan::none;
  shim_->durability.rewrite(seed, survival);
  for (auto& [path, size] : shim_->sizes)
    shim_->resize(size, 0);  // until they are opened
}

std::size_t Disk::unsynced() const {
  const std::lock_guard lock(shim_->mutex);
  return shim_->durability.lost_at_most();
}

const char* name(Operation operation) {
  switch (operation) {
    case Operation::open:
      return "open";
    case Operation::read:
      return "read";
    case Operation::write:
      return "write";
    case Operation::sync:
      return "sync";
    case Operation::truncate:
      return "truncate";
    case Operation::remove:
      return "remove";
  }
  return "unknown";
}

const char* name(Survival survival) {
  switch (survival) {
    case Survival::none:
      return "none";
    case Survival::half:
      return "half";
    case Survival::prefix:
      return "prefix";
    case Survival::all:
      return "all";
  }
  return "unknown";
}

}  // namespace perjoule::fakes
