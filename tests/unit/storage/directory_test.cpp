#include "storage/directory.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

TEST_CASE("directory: it is created with mode 0750, with its parents") {
  Scratch scratch;
  auto directory = Directory::claim(scratch / "a" / "b");
  REQUIRE(directory);
  struct stat status {};
  REQUIRE(::stat((scratch / "a" / "b").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777 & ~0750U) == 0);
  CHECK(read_file(scratch / "a" / "b" / "lock") == fmt::format("{}\n", ::getpid()));
}

TEST_CASE("directory: a second claim fails with the holder's pid; after a release it succeeds") {
  Scratch scratch;
  {
    auto first = Directory::claim(scratch.path());
    REQUIRE(first);
    Directory moved = std::move(*first);
    auto second = Directory::claim(scratch.path());
    REQUIRE_FALSE(second);
    CHECK(second.error().fault == Fault::denied);
    CHECK(second.error().what.find(fmt::format("pid {}", ::getpid())) != std::string::npos);
    CHECK(second.error().remedy.find("systemctl stop") != std::string::npos);
  }
  CHECK(Directory::claim(scratch.path()));
}

TEST_CASE("directory: a lock that is a link or a pipe is refused, and what it leads to is untouched") {
  Scratch scratch;
  write_file(scratch / "victim", "precious");
  std::filesystem::create_directory(scratch / "store");
  std::filesystem::create_symlink(scratch / "victim", scratch / "store" / "lock");
  const auto linked = Directory::claim(scratch / "store");
  REQUIRE_FALSE(linked);
  CHECK(linked.error().what.find("store/lock: not a regular file") != std::string::npos);
  CHECK(linked.error().remedy.find("sudo rm ") != std::string::npos);
  CHECK(read_file(scratch / "victim") == "precious");
  CHECK_FALSE(Directory::holder(scratch / "store"));
  std::filesystem::remove(scratch / "store" / "lock");
  REQUIRE(::mkfifo((scratch / "store" / "lock").c_str(), 0600) == 0);
  CHECK_FALSE(Directory::claim(scratch / "store"));
  // The directory itself may be reached through a link.
  std::filesystem::remove(scratch / "store" / "lock");
  std::filesystem::create_symlink(scratch / "store", scratch / "way");
  CHECK(Directory::claim(scratch / "way"));
}

TEST_CASE("directory: a lock of an earlier release loses what others may do with it") {
  Scratch scratch;
  write_file(scratch / "lock", "");
  REQUIRE(::chmod((scratch / "lock").c_str(), 0666) == 0);
  REQUIRE(Directory::claim(scratch.path()));
  struct stat status {};
  REQUIRE(::stat((scratch / "lock").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("directory: what belongs to another user is refused with a remedy") {
  if (::geteuid() != 0) return;
  Scratch scratch;
  std::filesystem::create_directory(scratch / "store");
  REQUIRE(::chown((scratch / "store").c_str(), 65534, 65534) == 0);
  const auto foreign = Directory::claim(scratch / "store");
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().fault == Fault::denied);
  CHECK(foreign.error().what.find("owned by the user with number 65534") != std::string::npos);
  CHECK(foreign.error().remedy.find("chown -R 0: ") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(scratch / "store" / "lock"));
  REQUIRE(::chown((scratch / "store").c_str(), 0, 0) == 0);
  write_file(scratch / "store" / "lock", "");
  REQUIRE(::chown((scratch / "store" / "lock").c_str(), 65534, 65534) == 0);
  CHECK_FALSE(Directory::claim(scratch / "store"));
}

TEST_CASE("directory: a file in its place or a read-only disk is an error with a remedy") {
  Scratch scratch;
  write_file(scratch / "file", "x");
  auto in_file = Directory::claim(scratch / "file");
  REQUIRE_FALSE(in_file);
  CHECK(in_file.error().what.find((scratch / "file").string()) != std::string::npos);
  CHECK_FALSE(in_file.error().remedy.empty());
  CHECK(read_file(scratch / "file") == "x");

  SmallDisk disk("1m");
  if (!disk) return;
  REQUIRE(disk.read_only(true));
  auto claimed = Directory::claim(disk / "store");
  REQUIRE_FALSE(claimed);
  CHECK(claimed.error().fault == Fault::denied);
  CHECK(claimed.error().remedy.find("read-write") != std::string::npos);
}

}  // namespace perjoule::storage
