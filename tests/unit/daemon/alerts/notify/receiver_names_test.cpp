#include "daemon/alerts/notify/receiver_names.hpp"

#include <doctest/doctest.h>

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

using Names = std::vector<std::string>;

Names names(std::vector<std::pair<std::string, std::string>> given) {
  std::vector<config::Receiver> receivers;
  for (auto& [url, name] : given)
    receivers.push_back({std::move(url), std::move(name), {}});
  return receiver_names(receivers);
}

}  // namespace

TEST_CASE("receivers have the name that is configured, else host and port, and a number where that is not enough") {
  CHECK(names({{"http://a:1/x?token", ""}, {"https://b/y", ""}}) == Names{"a:1", "b"});
  CHECK(names({{"http://a/x", ""}, {"http://a/y?token", ""}, {"http://b/x", ""}}) == Names{"a", "a#2", "b"});
  CHECK(names({{"http://a/x", "chat"}, {"http://a/y", ""}}) == Names{"chat", "a"});
  CHECK(names({{"not a URL", ""}, {"http://b/", "a"}, {"http://a/", ""}}) == Names{"unknown", "a", "a#2"});
}

TEST_CASE("nothing of a URL's path or query is part of a name") {
  CHECK(names({{"https://hooks.chat.example/services/T01/B02/XXXXXXXXXXXXXXXXXXXXXXXX", ""},
               {"https://hooks.chat.example/hook/short?secret", ""}}) ==
        Names{"hooks.chat.example", "hooks.chat.example#2"});
}
