#include "collectors/sysfs.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "config/text.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;
using namespace perjoule::sysfs;

TEST_CASE("a file is read again at each call through one descriptor") {
  const Tree tree({{"temp1_input", "45850\n"}});
  File file(tree.at("temp1_input"));
  CHECK(file.integer().value() == 45850);
  tree.write("temp1_input", "-273150 \n");
  CHECK(file.integer().value() == -273150);
  CHECK(file.text().value() == "-273150");
  File moved = std::move(file);
  CHECK(moved.integer().value() == -273150);
}

TEST_CASE("only so many files keep their descriptor; the others are opened for each read") {
  const auto open_files = [] {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      ++count;
    return count;
  };
  const Tree tree;
  std::vector<File> files;
  for (int n = 0; n < 20; ++n) {
    tree.write("f" + std::to_string(n), std::to_string(n) + "\n");
    files.emplace_back(tree.at("f" + std::to_string(n)));
  }
  const std::size_t before = open_files();
  keep_open_at_most(5);
  for (int round = 0; round < 3; ++round) {
    for (int n = 0; n < 20; ++n)
      CHECK(files[static_cast<std::size_t>(n)].integer().value() == n);
    CHECK(open_files() == before + 5);
  }
  files.erase(files.begin(), files.begin() + 3);  // their places are taken by others
  for (File& file : files)
    CHECK(file.integer().has_value());
  CHECK(open_files() == before + 5);
  files.clear();
  CHECK(open_files() == before);
  keep_open_at_most(std::numeric_limits<std::size_t>::max());
}

TEST_CASE("a file that vanished and came back is opened again") {
  const Tree tree;
  File file(tree.at("energy_uj"));
  CHECK(file.unsigned_integer().error().fault == Fault::absent);
  CHECK(file.unsigned_integer().error().what.find("energy_uj") != std::string::npos);
  tree.write("energy_uj", "");
  CHECK(file.text().value() == "");
  CHECK(file.unsigned_integer().error().fault == Fault::transient);
  // A new inode: the empty read closed the old descriptor.
  tree.remove("energy_uj");
  tree.write("energy_uj", "18446744073709551615");
  CHECK(file.unsigned_integer().value() == std::numeric_limits<std::uint64_t>::max());
  CHECK(file.integer().error().what.find("out of range") != std::string::npos);
}

TEST_CASE("a page is read whole, more than a page is an error") {
  const Tree tree({{"page", std::string(4096, 'x')}, {"more", std::string(4097, 'x')}});
  File page(tree.at("page"));
  File more(tree.at("more"));
  CHECK(page.text().value().size() == 4096);
  CHECK(more.text().error().fault == Fault::transient);
  CHECK(read_text(tree.at("page")).value().size() == 4096);
  CHECK_FALSE(read_text(tree.at("more")).has_value());
  CHECK(read_whole(tree.at("more"), 4097).value().size() == 4097);
  CHECK_FALSE(read_whole(tree.at("more"), 4096).has_value());
  CHECK(more.head(10).value() == "xxxxxxxxxx");
  CHECK(more.head(10000).value().size() == 4097);
}

TEST_CASE("a FIFO is read sequentially by a File and refused by one-time reads") {
  const Tree tree;
  tree.fifo("temp1_input");
  CHECK(read_text(tree.at("temp1_input")).error().what.find("not a regular file") != std::string::npos);
  CHECK_FALSE(readable(tree.at("temp1_input")).has_value());
  const int writer = ::open(tree.at("temp1_input").c_str(), O_RDWR | O_NONBLOCK);
  REQUIRE(writer >= 0);
  REQUIRE(::write(writer, "12000\n", 6) == 6);
  File file(tree.at("temp1_input"));
  CHECK(file.integer().value() == 12000);
  ::close(writer);
}

TEST_CASE("readable returns absent, denied or success") {
  const Tree tree({{"energy_uj", "1"}});
  CHECK(readable(tree.at("energy_uj")).has_value());
  CHECK(readable(tree.at("none")).error().fault == Fault::absent);
  CHECK(readable(tree.at("energy_uj/below")).error().fault == Fault::absent);
}

TEST_CASE("only whole numbers are accepted") {
  CHECK(parse_integer("-44000\n").value() == -44000);
  CHECK(parse_integer("+7").value() == 7);
  CHECK(parse_unsigned("0").value() == 0);
  for (const char* text :
       {"", " ", "-", "+", "+-1", "--1", "1 2", "1.5", "0x10", "1e3", "nan", "12a", "\n", "9223372036854775808"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_integer(text).has_value());
  }
  for (const char* text : {"-1", "-0x", "18446744073709551616"})
    CHECK_FALSE(parse_unsigned(text).has_value());
}

TEST_CASE("cpu lists") {
  CHECK(parse_cpu_list("0-3,8,10-11\n").value() == std::vector<unsigned>{0, 1, 2, 3, 8, 10, 11});
  CHECK(parse_cpu_list("\n").value().empty());
  CHECK(parse_cpu_list("0-8191").value().size() == 8192);
  for (const char* text :
       {"0-8192", "0-4294967295", "3-1", "1,", ",1", "1,,2", "-", "a", "1-", "-1", "1-2-3", "4294967296"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cpu_list(text).has_value());
  }
}

TEST_CASE("names come in natural order") {
  const Tree tree({{"d/hwmon10", ""}, {"d/hwmon2", ""}, {"d/hwmon1", ""}, {"d/a", ""}, {"d/hwmon01", ""}});
  CHECK(list(tree.at("d")).value() == std::vector<std::string>{"a", "hwmon01", "hwmon1", "hwmon2", "hwmon10"});
  CHECK(list(tree.at("none")).error().fault == Fault::absent);
}

TEST_CASE("a number parsed from hostile bytes prints as the same number") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 50'000; ++i) {
    const std::string bytes = hostile(random, "0123456789-+,", 24);
    if (const auto value = parse_unsigned(bytes)) {
      CHECK(bytes.find(std::to_string(*value)) != std::string::npos);
    } else {
      CHECK(text::printable(value.error().what) == value.error().what);
    }
    if (const auto cpus = parse_cpu_list(bytes)) CHECK(cpus->size() <= 8192);
  }
}
