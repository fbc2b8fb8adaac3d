#include "daemon/http/keyring.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace perjoule::http {

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view part = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8U | (i < part.size() ? static_cast<unsigned char>(part[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= part.size() ? digits[bits >> (18U - 6U * i) & 63U] : '=';
  }
  return text;
}

asio::awaitable<Result<Keyring::Tls>> Keyring::tls(std::shared_ptr<Exchange> exchange, config::ClientTls files) {
  const std::string key = fmt::format("tls\n{}\n{}\n{}", files.ca_file, files.cert_file, files.key_file);
  const Paths paths = [files] { return paths_of(files); };
  const Make make = [files](Content& content) {
    Result<Tls> made = make_tls(files, content.limit_hit);
    if (!made) content.error = made.error();
    if (made) content.tls = *std::move(made);
  };
  const std::shared_ptr<const Content> content = co_await find(exchange, key, paths, make);
  if (!content) co_return exchange->failure("reading the certificates", "");
  if (!content->error.what.empty()) co_return content->error;
  co_return content->tls;
}

asio::awaitable<Result<Credentials>> Keyring::credentials(std::shared_ptr<Exchange> exchange,
                                                          config::HttpAccess access) {
  if (!access.basic_auth && !access.authorization) co_return Credentials();
  const std::string path =
      access.basic_auth ? access.basic_auth->password_file : access.authorization->credentials_file;
  const Paths paths = [path] { return std::vector<std::string>{path}; };
  const Make make = [path](Content& content) {
    Result<std::string> secret = read_secret(path, content.limit_hit);
    if (!secret) content.error = secret.error();
    if (secret) content.secret = *std::move(secret);
  };
  const std::string key = "secret\n" + path;
  const std::shared_ptr<const Content> content = co_await find(exchange, key, paths, make);
  if (!content) co_return exchange->failure("reading " + path, "");
  if (!content->error.what.empty()) co_return content->error;
  const std::string& secret = content->secret;
  if (access.basic_auth) co_return Credentials{"Basic " + base64(access.basic_auth->username + ':' + secret), secret};
  co_return Credentials{access.authorization->type + ' ' + secret, secret};
}

asio::awaitable<std::shared_ptr<const Keyring::Content>> Keyring::find(std::shared_ptr<Exchange> exchange,
                                                                       std::string key, Paths paths, Make make) {
  const std::shared_ptr<Keyring> self = shared_from_this();
  const std::shared_ptr<Entry> found = entry(key);
  const Steady::time_point now = Steady::now();
  if (!found->lane && (!found->content || now - found->checked >= recheck_)) read(found, paths, make);
  while (found->lane && !exchange->ended()) {
    if (found->content && Steady::now() - now >= patience) break;
    add_waiter(found->waiters, exchange);
    const Steady::time_point until = found->content ? now + patience : Steady::time_point::max();
    co_await exchange->wait(until);
  }
  if (exchange->ended()) co_return nullptr;
  co_return found->content;
}

// Entries are as many as the configuration has sets of files. Those of earlier configurations make room first.
std::shared_ptr<Keyring::Entry> Keyring::entry(const std::string& key) {
  if (const auto found = entries_.find(key); found != entries_.end()) return found->second;
  if (entries_.size() >= entries_max) {
    const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second->checked < b.second->checked;
    });
    entries_.erase(oldest);
  }
  return entries_[key] = std::make_shared<Entry>();
}

void Keyring::read(const std::shared_ptr<Entry>& entry, const Paths& paths, const Make& make) {
  entry->checked = Steady::now();
  entry->lane = make_lane_();
  const auto next = std::make_shared<std::shared_ptr<const Content>>();
  const auto work = [next, paths, make, before = entry->content] {
    auto content = std::make_shared<Content>();
    for (const std::string& path : paths())
      content->versions.push_back(version_of(path));
    *next = before;
    if (before && before->error.what.empty() && before->versions == content->versions) return;
    make(*content);
    *next = std::move(content);
  };
  const auto done = [next, weak = weak_from_this(), weak_entry = std::weak_ptr(entry)] {
    const auto self = weak.lock();
    const auto ended = weak_entry.lock();
    if (!self || !ended) return;
    if (*next != ended->content && (*next)->limit_hit) ++self->long_files_;
    ended->content = *next;
    ended->lane.reset();
    wake_all(ended->waiters);
  };
  if (entry->lane->start(work, done)) return;
  // Without a thread a call gets what was read before, if anything was.
  entry->lane.reset();
  if (entry->content) return;
  Content none;
  none.error = thread_error();
  entry->content = std::make_shared<const Content>(std::move(none));
}

}  // namespace perjoule::http
