#include "collectors/shared_library.hpp"

#include <doctest/doctest.h>

#include <utility>

#include "tests/fakes/tree.hpp"

using namespace perjoule;

TEST_CASE("a library's symbols are called through their type") {
  Result<SharedLibrary> library = SharedLibrary::open("libm.so.6");
  REQUIRE(library.has_value());
  auto* cosine = library->symbol<double(double)>("cos");
  REQUIRE(bool(cosine != nullptr));
  CHECK(cosine(0.0) == 1.0);
  CHECK(bool(library->symbol<double(double)>("no_such_function") == nullptr));
}

TEST_CASE("a moved library stays open and the moved-from object returns null") {
  SharedLibrary first = SharedLibrary::open("libm.so.6").value();
  SharedLibrary second = std::move(first);
  CHECK(second.symbol<double(double)>("sqrt")(9.0) == 3.0);
  CHECK(
      bool(first.symbol<double(double)>("sqrt") == nullptr));  // NOLINT(bugprone-use-after-move): that is the contract
}

TEST_CASE("a missing library is absent, one that does not load is broken") {
  const Tree tree({{"not_elf.so", "text"}});
  CHECK(SharedLibrary::open("libperjoule-none.so.1").error().fault == Fault::absent);
  CHECK(SharedLibrary::open(tree.at("none.so")).error().fault == Fault::absent);
  CHECK(SharedLibrary::open("").error().fault == Fault::absent);
  const Result<SharedLibrary> text = SharedLibrary::open(tree.at("not_elf.so"));
  REQUIRE_FALSE(text.has_value());
  CHECK(text.error().fault == Fault::broken);
  CHECK(text.error().what.find("not_elf.so") != std::string::npos);
}
