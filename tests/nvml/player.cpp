#include "tests/nvml/player.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

namespace perjoule::stand_in {

namespace {

constexpr int look_again_ms = 2;

double seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double wall_seconds() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return seconds(time);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::optional<double> modified(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return seconds(status.st_mtim);
}

// When this process started. The library's own load time would not do: it may be opened and closed many times.
double process_start() {
  std::ifstream stat("/proc/self/stat");
  std::string text{std::istreambuf_iterator<char>(stat), {}};
  text.erase(0, text.rfind(')') + 2);
  for (int field = 3; field < 22; ++field)
    text.erase(0, text.find(' ') + 1);
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const double since_boot = std::strtod(text.c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return wall_seconds() - seconds(boot) + since_boot;
}

void wait_ms(int milliseconds) {
  ::poll(nullptr, 0, milliseconds);
}

}  // namespace

Player::Player() {
  read_scenario();
  const std::string epoch = variable("NVML_STAND_IN_EPOCH");
  epoch_ = epoch.empty() ? process_start() : modified(epoch).value_or(0);
  if (epoch_ == 0) std::fprintf(stderr, "nvml stand-in: NVML_STAND_IN_EPOCH=%s does not exist\n", epoch.c_str());
  time_file_ = variable("NVML_STAND_IN_TIME");
  control_ = variable("NVML_STAND_IN_CONTROL");
  if (const std::string account = variable("NVML_STAND_IN_ACCOUNT"); !account.empty()) {
    const int file = ::open(account.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    constexpr std::size_t size = 2 * sizeof(std::atomic<std::int64_t>);
    if (file >= 0 && ::ftruncate(file, size) == 0) {
      void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (memory != MAP_FAILED) account_ = static_cast<std::atomic<std::int64_t>*>(memory);
    }
    if (file >= 0) ::close(file);
  }
  hide_missing_symbols();
}

void Player::read_scenario() {
  const std::string path = variable("PERJOULE_NVML_SCENARIO");
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> problems;
  if (path.empty() || !file) {
    problems.emplace_back("PERJOULE_NVML_SCENARIO does not name a readable file");
  } else {
    scenario_ = parse(std::string{std::istreambuf_iterator<char>(file), {}}, problems);
  }
  for (const std::string& problem : problems)
    std::fprintf(stderr, "nvml stand-in: %s: %s\n", path.c_str(), problem.c_str());
  broken_ = !problems.empty();
}

// A symbol that an older driver lacks must not be found. Its entry in this object's own symbol table is made undefined,
// before any caller can look it up: this runs while the object is loaded.
void Player::hide_missing_symbols() const {
  for (const std::string& name : scenario_.missing) {
    Dl_info self{};
    Dl_info info{};
    void* entry = nullptr;
    ::dladdr(reinterpret_cast<void*>(&player), &self);
    void* object = ::dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    void* address = object != nullptr ? ::dlsym(object, name.c_str()) : nullptr;
    if (object != nullptr) ::dlclose(object);
    if (address == nullptr || ::dladdr1(address, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == nullptr) {
      std::fprintf(stderr, "nvml stand-in: missing: no such symbol: %s\n", name.c_str());
      continue;
    }
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(entry) & ~(page - 1);
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(entry) + sizeof(ElfW(Sym));
    ::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_READ | PROT_WRITE);
    static_cast<ElfW(Sym)*>(entry)->st_shndx = SHN_UNDEF;
    static_cast<ElfW(Sym)*>(entry)->st_value = 0;
  }
}

double Player::now() const {
  if (time_file_.empty()) return wall_seconds() - epoch_;
  std::ifstream file(time_file_);
  double given = 0;
  file >> given;
  return given;
}

bool Player::control(const std::string& name) const {
  return !control_.empty() && ::access((control_ / name).c_str(), F_OK) == 0;
}

Player::Driver Player::driver(double time) const {
  Driver driver;
  driver.loaded = scenario_.driver.at(time).value >= 1 && !control("unloaded");
  const std::vector<double> rises = scenario_.driver.rises(time);
  if (rises.size() > 1) driver.loaded_at = rises.back();
  if (control_.empty()) return driver;
  if (const auto loaded = modified(control_ / "loaded"))
    driver.loaded_at = std::max(driver.loaded_at, *loaded - epoch_);
  return driver;
}

Return Player::init() {
  if (broken_) return Return::unknown;
  const double time = now();
  wait_ms(static_cast<int>(scenario_.init_delay.at(time).value * 1000));
  while (control("hang-init"))
    wait_ms(look_again_ms);
  const auto answer = static_cast<std::uint32_t>(scenario_.init.at(time).value);
  if (answer != 0) return static_cast<Return>(answer);
  const std::lock_guard lock(mutex_);
  const Driver loaded = driver(time);
  if (initialised_ == 0 && !loaded.loaded) return Return::driver_not_loaded;
  if (initialised_++ == 0) session_ = loaded.loaded_at;
  return Return::success;
}

Return Player::shutdown() {
  const std::lock_guard lock(mutex_);
  if (initialised_ == 0) return Return::uninitialized;
  --initialised_;
  return Return::success;
}

Return Player::usable() const {
  const std::lock_guard lock(mutex_);
  const Driver loaded = driver(now());
  if (initialised_ == 0 || !loaded.loaded || loaded.loaded_at != session_) return Return::uninitialized;
  return Return::success;
}

std::vector<std::size_t> Player::present() const {
  std::vector<std::size_t> found;
  const double time = now();
  for (std::size_t i = 0; i < scenario_.gpus.size(); ++i) {
    const Gpu& gpu = scenario_.gpus[i];
    const bool there = !gpu.has("present") || gpu.curve("present").at(time).value >= 1;
    if (there && !control("gone-" + std::to_string(i))) found.push_back(i);
  }
  return found;
}

bool Player::lost(std::size_t index, double time) const {
  const Gpu& gpu = scenario_.gpus[index];
  return (gpu.has("lost") && gpu.curve("lost").at(time).value >= 1) || control("lost-" + std::to_string(index));
}

bool Player::hangs(std::size_t index) const {
  const Gpu& gpu = scenario_.gpus[index];
  return (gpu.has("hang") && gpu.curve("hang").at(now()).value >= 1) || control("hang-" + std::to_string(index));
}

Return Player::open(std::size_t index, Device* device) {
  if (const Return result = usable(); result != Return::success) return result;
  if (lost(index, now())) return Return::gpu_is_lost;
  const std::lock_guard lock(mutex_);
  for (nvml::DeviceHandle& handle : handles_) {
    if (handle.gpu == index && handle.loaded_at == session_) {
      *device = &handle;
      return Return::success;
    }
  }
  handles_.push_back({index, session_});
  *device = &handles_.back();
  return Return::success;
}

Return Player::enter(Device device, const Gpu*& gpu) {
  std::size_t index = 0;
  double loaded_at = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto known = std::find_if(handles_.begin(), handles_.end(),
                                    [device](const nvml::DeviceHandle& handle) { return &handle == device; });
    if (known == handles_.end()) return Return::invalid_argument;
    index = known->gpu;
    loaded_at = known->loaded_at;
  }
  const Gpu& board = scenario_.gpus[index];
  if (board.has("delay")) wait_ms(static_cast<int>(board.curve("delay").at(now()).value * 1000));
  while (hangs(index))
    wait_ms(look_again_ms);
  const double time = now();
  const Driver loaded = driver(time);
  if (!loaded.loaded || lost(index, time)) return Return::gpu_is_lost;
  if (loaded.loaded_at != loaded_at) return Return::invalid_argument;
  gpu = &board;
  return Return::success;
}

Answer Player::energy(const Gpu& gpu) const {
  const double time = now();
  if (gpu.has("energy")) {
    Answer answer = gpu.curve("energy").at(time);
    answer.value *= 1000;
    return answer;
  }
  const double step = scenario_.energy_step;
  const double stepped = step > 0 ? std::floor(time / step) * step : time;
  const double from = std::max(driver(time).loaded_at, 0.0);
  double joules = gpu.curve("power").integral(stepped) - gpu.curve("power").integral(std::min(from, stepped));
  if (from <= 0 && gpu.has("energy_start")) joules += gpu.curve("energy_start").at(0).value;
  return {std::floor(joules * 1000), 0, false};
}

double Player::held_ns(const Gpu& gpu, const std::string& reason) const {
  if (!gpu.has(reason)) return 0;
  const double time = now();
  const double from = std::max(driver(time).loaded_at, 0.0);
  return std::floor((gpu.curve(reason).integral(time) - gpu.curve(reason).integral(from)) * 1e9);
}

namespace {

std::int64_t thread_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Player::Account::Account(Player& player) : player_(player) {
  if (player_.account_ != nullptr) began_ns_ = thread_ns();
}

Player::Account::~Account() {
  if (player_.account_ == nullptr) return;
  player_.account_[0] += thread_ns() - began_ns_;
  player_.account_[1] += 1;
}

Player& player() {
  static Player instance;
  return instance;
}

namespace {

// Runs while the object is loaded, so that symbols that the scenario lists as missing are hidden before any dlsym().
[[maybe_unused]] Player& started = player();

}  // namespace

}  // namespace perjoule::stand_in
