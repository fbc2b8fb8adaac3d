// Receivers as URLs and objects: every key, every refusal with its place, and secrets that are shown nowhere.
#include "config/receiver.hpp"

#include <doctest/doctest.h>

#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

Outcome load_text(std::string_view text, Input given = input()) {
  const Directory directory;
  given.file = directory.write("perjoule.json", text);
  Outcome outcome = load(given);
  for (Refusal& refusal : outcome.refusals)
    refusal.file = directory.hide(refusal.file);
  return outcome;
}

std::string refused(std::string_view item) {
  const Outcome outcome = load_text("{\"alerts\": {\"webhooks\": [\n" + std::string(item) + "]}}");
  return outcome.refusals.empty() ? "" : render(outcome.refusals);
}

std::vector<Receiver> webhooks(std::string_view list, Input given = input()) {
  const Outcome outcome = load_text("{\"alerts\": {\"webhooks\": " + std::string(list) + "}}", std::move(given));
  CHECK_MESSAGE(outcome.refusals.empty(), render(outcome.refusals));
  REQUIRE(outcome.loaded);
  return outcome.loaded->settings.alerts.webhooks;
}

std::string printed(std::string_view text) {
  const Outcome outcome = load_text(text);
  REQUIRE(outcome.loaded);
  return print_config(*outcome.loaded);
}

}  // namespace

TEST_CASE("a receiver with every key") {
  const std::vector<Receiver> read = webhooks(R"([{ "url": "https://am.example/prefix", "name": "site-1",
      "basic_auth": { "username": "u", "password_file": "/etc/perjoule/am", "x-note": 1 },
      "tls": { "ca_file": "/ca.pem", "cert_file": "/c.pem", "key_file": "/k.pem", "server_name": "am.internal" },
      "proxy": "http://proxy:3128", "headers": { "X-Scope-OrgID": "gpu" }, "//": "remark" },
    { "url": "http://b/", "authorization": { "credentials_file": "/token" } },
    { "url": "http://c/", "authorization": { "type": "GenieKey", "credentials_file": "/token" } }])");
  REQUIRE(read.size() == 3);
  const Receiver expected = {"https://am.example/prefix",
                             "site-1",
                             {BasicAuth{"u", "/etc/perjoule/am"},
                              std::nullopt,
                              {"/ca.pem", "/c.pem", "/k.pem", "am.internal"},
                              "http://proxy:3128",
                              {{"X-Scope-OrgID", "gpu"}}}};
  CHECK(read[0] == expected);
  CHECK(read[1].access.authorization == Authorization{"Bearer", "/token"});
  CHECK(read[2].access.authorization == Authorization{"GenieKey", "/token"});
}

TEST_CASE("receivers from flags and variables: URLs, or JSON") {
  Input given = input();
  given.environment = {{"PERJOULE_ALERTS_WEBHOOKS", "http://a/ , http://b/"}};
  CHECK(webhooks("null", given).size() == 2);
  given.environment = {{"PERJOULE_ALERTS_WEBHOOKS", R"([{"url": "http://a/,b", "name": "n"}, "http://c/"])"}};
  CHECK(webhooks("null", given)[0].name == "n");
  CHECK(webhooks("null", given)[0].url == "http://a/,b");
  given.flags = {{"alerts.webhooks", "http://a/,b"}, {"alerts.webhooks", R"({"url": "http://b/", "name": "m"})"}};
  CHECK(webhooks("null", given)[0].url == "http://a/,b");
  CHECK(webhooks("null", given)[1].name == "m");
  given.environment = {{"PERJOULE_ALERTS_WEBHOOKS", ""}};
  given.flags.clear();
  CHECK(webhooks("[\"http://a/\"]", given).empty());

  given.environment = {{"PERJOULE_ALERTS_WEBHOOKS", "http://u:hunter2@a/"}};
  given.flags = {{"alerts.alertmanagers", R"({"url": "http://b/", "nam": "m"})"}, {"alerts.alertmanagers", "{"}};
  const std::string text = render(load_text("{}", given).refusals);
  CHECK(text.find("environment PERJOULE_ALERTS_WEBHOOKS: error: alerts.webhooks[0]: the URL contains a user") == 0);
  CHECK(text.find("flag --alerts.alertmanagers: error: alerts.alertmanagers: ") != std::string::npos);
  CHECK(text.find("hunter2") == std::string::npos);
}

TEST_CASE("a refusal of a receiver has its place, its path and a remedy") {
  CHECK(refused(R"(  { "url": "http://user:hunter2@am/" })") ==
        R"(perjoule.json:2:12: error: alerts.webhooks[0].url: the URL contains a user or password
    2 |   { "url": "http://************@am/" }]}}
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^
   help: remove it, and name a password or token file: basic_auth or authorization beside "url"
1 error; configuration not loaded
)");
  CHECK(refused(R"({ "url": "http://a", "basic_oauth": {} })") ==
        R"(perjoule.json:2:22: error: alerts.webhooks[0].basic_oauth: unknown key
    2 | { "url": "http://a", "basic_oauth": {} }]}}
      |                      ^^^^^^^^^^^^^
   help: did you mean "basic_auth"?
1 error; configuration not loaded
)");
}

TEST_CASE("every kind of mistake in a receiver") {
  const struct {
    std::string_view item;
    std::string_view expected;  // "COLUMN: error: alerts.webhooks[0]..."
  } cases[] = {
      {R"(7)", "1: error: alerts.webhooks[0]: expected a URL or an object"},
      {R"({})", "1: error: alerts.webhooks[0]: missing \"url\""},
      {R"({"url": 1})", "9: error: alerts.webhooks[0].url: expected a string, got a number"},
      {R"({"url": "am:9093"})", "9: error: alerts.webhooks[0].url: the URL does not start with"},
      {R"({"url": "http://a:99999/"})", "9: error: alerts.webhooks[0].url: the port is not a number from 1 to 65535"},
      {R"({"url": "http://a", "name": "a b"})", "29: error: alerts.webhooks[0].name: \"a b\" is not a name"},
      {R"({"url": "http://a", "name": "n"}, {"url": "http://a", "name": "n"})",
       "63: error: alerts.webhooks[1].name: duplicate name n"},
      {R"("http://a", {"url": "http://a"})", "21: error: alerts.webhooks[1].url: an earlier receiver has the same URL"},
      {R"({"url": "http://a", "basic_auth": "u:p"})",
       "35: error: alerts.webhooks[0].basic_auth: expected an object, got a string"},
      {R"({"url": "http://a", "basic_auth": {"username": "u"}})",
       "35: error: alerts.webhooks[0].basic_auth: missing \"password_file\""},
      {R"({"url": "http://a", "basic_auth": {"password_file": "/p"}})",
       "35: error: alerts.webhooks[0].basic_auth: missing \"username\""},
      {R"({"url": "http://a", "basic_auth": {"username": "a:b", "password_file": "/p"}})",
       "48: error: alerts.webhooks[0].basic_auth.username: a user name has neither a colon"},
      {R"({"url": "http://a", "basic_auth": {"username": "u", "password": "hunter2"}})",
       "53: error: alerts.webhooks[0].basic_auth.password: secrets are not written into the configuration"},
      {R"({"url": "http://a", "basic_auth": {"username": "u", "password_file": "p"}})",
       "70: error: alerts.webhooks[0].basic_auth.password_file: not the whole path of a file"},
      {R"({"url": "http://a", "authorization": {"credentials": "hunter2"}})",
       "39: error: alerts.webhooks[0].authorization.credentials: secrets are not written"},
      {R"({"url": "http://a", "authorization": {"type": "basic", "credentials_file": "/t"}})",
       "47: error: alerts.webhooks[0].authorization.type: Basic needs a user name"},
      {R"({"url": "http://a", "authorization": {"type": "a b", "credentials_file": "/t"}})",
       "47: error: alerts.webhooks[0].authorization.type: not an authentication scheme"},
      {R"({"url": "http://a", "authorization": {}})",
       "38: error: alerts.webhooks[0].authorization: missing \"credentials_file\""},
      {R"({"url": "http://a", "basic_auth": {"username": "u", "password_file": "/p"}, "authorization": )"
       R"({"credentials_file": "/t"}})",
       "77: error: alerts.webhooks[0].authorization: conflicts with basic_auth"},
      {R"({"url": "http://a", "tls": {"ca_file": "/c"}})", "21: error: alerts.webhooks[0].tls: has no effect"},
      {R"({"url": "https://a", "tls": {"cert_file": "/c"}})",
       "29: error: alerts.webhooks[0].tls: missing \"key_file\""},
      {R"({"url": "https://a", "tls": {"key_file": "/c"}})",
       "29: error: alerts.webhooks[0].tls: missing \"cert_file\""},
      {R"({"url": "https://a", "tls": {"server_name": "a:443"}})",
       "45: error: alerts.webhooks[0].tls.server_name: \"a:443\" is not a host name"},
      {R"({"url": "https://a", "tls": {"insecure_skip_verify": true}})",
       "30: error: alerts.webhooks[0].tls.insecure_skip_verify: unknown key"},
      {R"({"url": "http://a", "proxy": "https://p:1"})",
       "30: error: alerts.webhooks[0].proxy: a proxy is reached over http"},
      {R"({"url": "http://a", "proxy": "http://p:1/x"})",
       "30: error: alerts.webhooks[0].proxy: the URL of a proxy has no path"},
      {R"({"url": "http://a", "proxy": "http://u:hunter2@p:1"})",
       "30: error: alerts.webhooks[0].proxy: the URL contains a user or password"},
      {R"({"url": "http://a", "headers": ["X"]})",
       "32: error: alerts.webhooks[0].headers: expected an object, got an array"},
      {R"({"url": "http://a", "headers": {"X y": "v"}})",
       "33: error: alerts.webhooks[0].headers.X y: not the name of a header"},
      {R"({"url": "http://a", "headers": {"Host": "v"}})", "33: error: alerts.webhooks[0].headers.Host: is reserved"},
      {R"({"url": "http://a", "headers": {"authorization": "Bearer hunter2"}})",
       "33: error: alerts.webhooks[0].headers.authorization: is set by other keys"},
      {R"({"url": "http://a", "headers": {"X": "hunter2\nY: z"}})",
       "38: error: alerts.webhooks[0].headers.X: contains a control character"},
      {R"({"url": "http://a", "headers": {"X": 7}})",
       "38: error: alerts.webhooks[0].headers.X: expected a string, got a number"},
      {R"({"url": "http://a", "headers": {"X": "a", "x": "b"}})",
       "43: error: alerts.webhooks[0].headers.x: duplicate header"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.item);
    const std::string text = refused(each.item);
    CAPTURE(text);
    CHECK(text.find("perjoule.json:2:" + std::string(each.expected)) == 0);
    CHECK(text.find("1 error;") != std::string::npos);
    CHECK(text.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("print-config shows neither headers nor queries") {
  const std::string text = printed(R"({"alerts": {"webhooks": ["http://a/p?key=hunter2",
      {"url": "http://b/?hunter2", "headers": {"X-Key": "hunter2", "Y": "hunter2"}}]}})");
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find(R"(["http://a/***", {"url": "http://b/***", "headers": {"X-Key": "***", "Y": "***"}}])") !=
        std::string::npos);
}

TEST_CASE("an excerpt of a file shows no secret, also when the file cannot be parsed") {
  for (const std::string_view text :
       {R"({"log": {"level": "x", "password": "hunter2"}})", R"({"log": {"level": "x"}, "api_token": ["hunter2"]})",
        R"({"alerts": {"webhooks": [{"headers": {"X": "hunter2", "Y" "b"}}]}})",
        R"({"alerts": {"webhooks": [{"headers": {"X": "hunter2}}]}})", R"({"a": {"headers": {X: 'hunter2'}}})",
        R"({password: hunter2})", R"({"webhooks": "http://u:hunter2@a/",,})",
        R"({"alerts": {"webhooks": "http://a/?k=hunter2"}})", R"({"alerts": {"webhooks": ["http:\/\/u:hunter2@a/"]}})",
        R"({"alerts": {"webhooks": ["http:\/\/u:hunter2\u0040a/"]}})",
        R"({"web": {"external_url": "http://u:hunter2@a/"}})", R"({"log": {"levl": 1}} // was http://u:hunter2@a/)",
        R"({"log": {"level": "http://u:hunter2@a/"}})"}) {
    CAPTURE(text);
    const Outcome outcome = load_text(text);
    REQUIRE(!outcome.refusals.empty());
    const std::string shown = render(outcome.refusals);
    CAPTURE(shown);
    CHECK(shown.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("web.external_url is a URL without user, query and fragment") {
  const auto external = [](std::string_view url) {
    return load_text("{\"web\": {\"external_url\": \"" + std::string(url) + "\"}}");
  };
  CHECK(external("https://{hostname}.example:{port}/perjoule//").loaded->settings.web.external_url ==
        "https://{hostname}.example:{port}/perjoule");
  for (const std::string_view url :
       {"host:1", "https://a/?b", "https://a/#b", "https://u@a", "https://{host}/", "ftp://a"})
    CHECK(!external(url).loaded);
}

}  // namespace perjoule::config
