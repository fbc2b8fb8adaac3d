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
