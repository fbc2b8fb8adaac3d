#include "daemon/http/excerpt.hpp"

#include <algorithm>
#include <vector>

#include "config/url.hpp"

namespace perjoule::http {

namespace {

constexpr std::size_t path_part_min = 8;  // a shorter part of a path is no secret
constexpr std::size_t value_min = 4;

// The parts of `text` between separators; of "name=value" the value.
void add_parts(std::string_view text, char separator, std::size_t size_min, std::vector<std::string>& to) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    const std::size_t equals = part.find('=');
    const std::string_view value = equals == std::string_view::npos ? part : part.substr(equals + 1);
    if (value.size() >= size_min) to.emplace_back(value);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
}

std::vector<std::string> secrets_of(const Call& call, const Credentials& credentials) {
  const std::size_t scheme = std::min(credentials.header.find(' ') + 1, credentials.header.size());
  std::vector<std::string> secrets = {credentials.secret, credentials.header.substr(scheme)};
  for (const auto& [name, value] : call.access.headers)
    secrets.push_back(value);
  if (const auto url = config::parse_url(call.url)) {
    const std::string_view path = url->path();
    add_parts(path, '/', path_part_min, secrets);
    add_parts(std::string_view(url->target).substr(std::min(path.size() + 1, url->target.size())), '&', value_min,
              secrets);
  }
  std::erase(secrets, "");
  // The longest first: one secret may contain another.
  std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return secrets;
}

}  // namespace

std::string excerpt(const Answer& answer, const Call& call, const Credentials& credentials) {
  const std::vector<std::string> secrets = secrets_of(call, credentials);
  const std::size_t longest = secrets.empty() ? 0 : secrets.front().size();
  // One that begins within the excerpt is seen to its end.
  const std::string_view body = std::string_view(answer.body).substr(0, excerpt_bytes_max + longest);
  std::string shown;
  for (std::size_t at = 0; at < body.size() && shown.size() < excerpt_bytes_max;) {
    const auto found = std::find_if(secrets.begin(), secrets.end(),
                                    [&](const std::string& secret) { return body.substr(at).starts_with(secret); });
    if (found == secrets.end()) {
      shown += body[at++];
    } else {
      shown += "***";
      at += found->size();
    }
  }
  return shown;
}

}  // namespace perjoule::http
