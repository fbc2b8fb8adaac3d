// The key web.external_url: where users reach the daemon, for links in notifications.
#include "config/keys.hpp"
#include "config/url.hpp"

namespace perjoule::config {
namespace {

using Value = Options::Value;

std::optional<Complaint> check_external_url(const Value& value) {
  if (auto complaint = check_template(std::get<std::string>(value))) return complaint;
  std::string url = std::get<std::string>(value);
  for (const auto& [place, by] : {std::pair<std::string_view, std::string_view>{"{hostname}", "h"}, {"{port}", "1"}}) {
    for (std::size_t at = url.find(place); at != std::string::npos; at = url.find(place))
      url.replace(at, place.size(), by);
  }
  const Checked<Url> parsed = parse_url(url);
  if (!parsed && url.find('@') != std::string::npos) return Complaint{parsed.error().what, "remove it"};
  if (!parsed) return parsed.error();
  if (url.find_first_of("?#") != std::string::npos)
    return Complaint{"the URL has a query or a fragment", "write https://HOST/PATH: links are made by adding to it"};
  return std::nullopt;
}

}  // namespace

Key external_url_key() {
  return {.path = "web.external_url",
          .help =
              "URL at which users reach this daemon, such as https://{hostname}.example/perjoule behind a "
              "proxy; alerts carry it as generatorURL. {hostname} and {port} can be used.",
          .null_means = "http://{hostname}:{port}",
          .check = check_external_url,
          .store = [](Settings& to, const Value& v) {
            to.web.external_url = std::get<std::string>(v);
            while (to.web.external_url.ends_with('/'))
              to.web.external_url.pop_back();
          }};
}

}  // namespace perjoule::config
