#include "storage/sqlite/lock_holders.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <random>

#include "storage/sqlite/schema.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

const FileIdentity index_file{makedev(8, 1), 131142};

}  // namespace

TEST_CASE("lock holders: who has a read transaction, and not who has the database open") {
  constexpr const char* locks =
      "1: POSIX  ADVISORY  READ 101 08:01:131142 128 128\n"     // has it open
      "2: POSIX  ADVISORY  READ 102 08:01:131142 124 124\n"     // reads
      "3: POSIX  ADVISORY  WRITE 103 08:01:131142 120 120\n"    // writes
      "4: POSIX  ADVISORY  READ 104 08:01:131142 123 123\n"     // reads the database alone
      "5: FLOCK  ADVISORY  WRITE 105 08:01:131142 0 EOF\n"      // of another kind
      "6: POSIX  ADVISORY  READ 106 08:01:131143 124 124\n"     // of another file
      "7: POSIX  ADVISORY  READ 102 08:01:131142 127 127\n"     // a second transaction
      "8: -> POSIX  ADVISORY  READ 107 08:01:131142 124 124\n"  // waits
      "9: POSIX  ADVISORY  READ 0 08:01:131142 125 125\n"       // of another PID namespace
      "10: POSIX  ADVISORY  READ 108 08:02:131142 124 124\n"    // of another file system
      "11: OFDLCK ADVISORY  READ -1 08:01:131142 124 124\n"
      "12: POSIX  ADVISORY  READ 109 08:01:131142 0 EOF\n";
  CHECK(readers_in(locks, index_file) == std::vector<int>{102, 104, 0, 109});
  // Where stat shows a device that no line has, the inode decides.
  CHECK(readers_in("1: POSIX  ADVISORY  READ 5 00:2f:131142 124 124\n", index_file) == std::vector<int>{5});
  CHECK(readers_in("", index_file).empty());
}

TEST_CASE("lock holders: for any text it returns, and finds only pids that are there") {
  const std::string line = "1: POSIX  ADVISORY  READ 102 08:01:131142 124 124\n";
  std::mt19937_64 random(7);
  for (int n = 0; n < 5000; ++n) {
    std::string text = line + line;
    for (int m = 0; m < 3; ++m)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    for (const int pid : readers_in(text, index_file))
      CHECK(pid < 1'000'000);
  }
}

TEST_CASE("lock holders: the name of the command is escaped, and other processes come before this one") {
  const Scratch scratch;
  write_file(scratch / "history.db-shm", "x");
  const FileIdentity index = identity_of(scratch / "history.db-shm");
  std::filesystem::create_directory(scratch / "77");
  write_file(scratch / "77" / "comm", "sqli\x1bte3\n");
  std::string locks;
  for (const int pid : {::getpid(), 77, 78, 79, 80}) {
    locks += fmt::format("1: POSIX  ADVISORY  READ {} {:02x}:{:02x}:{} 124 124\n", pid, major(index.device),
                         minor(index.device), index.inode);
  }
  write_file(scratch / "locks", locks);
  CHECK(readers_of(scratch / "history.db", scratch.path()) ==
        "pid 77 (sqli\\u001bte3), pid 78 (its command is not visible here), pid 79 (its command is not visible here)");
  write_file(scratch / "locks", "");
  CHECK(readers_of(scratch / "history.db", scratch.path()) == "a process that is not visible here");
}

}  // namespace perjoule::storage
