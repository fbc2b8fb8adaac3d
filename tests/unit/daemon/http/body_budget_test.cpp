#include "daemon/http/body_budget.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using perjoule::http::BodyBudget;

TEST_CASE("body budget: a body counts once until its last response is gone; copies count together") {
  std::optional<BodyBudget> budget(100);
  const BodyBudget copy = *budget;
  CHECK(copy.has_room(100));
  auto first = budget->hold(std::string(60, 'x'));
  auto shared = first;
  CHECK(*shared == std::string(60, 'x'));
  CHECK(copy.held() == 60);
  CHECK(copy.has_room(40));
  CHECK_FALSE(copy.has_room(41));
  first.reset();
  CHECK(copy.held() == 60);
  auto second = copy.hold(std::string(90, 'y'));  // hold() does not refuse: the caller asks before it makes a body
  CHECK_FALSE(budget->has_room(0));
  budget.reset();
  shared.reset();
  CHECK(copy.held() == 90);
  second.reset();
  CHECK(copy.held() == 0);
}
