// What calls need from files: TLS contexts and secrets, kept in memory and read again when a file has changed. Loop's
// thread only; files are read on lanes.
//
// A call looks at most once a second whether its files have changed, and gets what they hold now; if the disk does not
// answer within `patience`, it gets what they held before. A file that can no longer be read or is wrong is an error,
// and not its earlier content. A set of files has one lane, and only while they are read.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "config/http_access.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/http/access_files.hpp"
#include "daemon/http/exchange.hpp"

namespace perjoule::http {

struct Credentials {
  std::string header;  // value of the header Authorization; "": none. Contains no control character.
  std::string secret;  // the password or token in it
};

class Keyring : public std::enable_shared_from_this<Keyring> {
 public:
  static constexpr std::size_t entries_max = 512;
  static constexpr std::chrono::milliseconds patience{500};

  // `recheck`: the time for which files are not looked at again.
  Keyring(MakeLane make_lane, std::chrono::milliseconds recheck)
      : make_lane_(std::move(make_lane)), recheck_(recheck) {}

  using Tls = std::shared_ptr<asio::ssl::context>;
  asio::awaitable<Result<Tls>> tls(std::shared_ptr<Exchange> exchange, config::ClientTls files);
  asio::awaitable<Result<Credentials>> credentials(std::shared_ptr<Exchange> exchange, config::HttpAccess access);

  [[nodiscard]] std::uint64_t long_files() const { return long_files_; }

 private:
  struct Content {
    std::vector<FileVersion> versions;
    Error error;  // in force when `what` is not empty
    Tls tls;
    std::string secret;
    bool limit_hit = false;
  };
  struct Entry {
    std::shared_ptr<const Content> content;  // null until the files were read once
    Steady::time_point checked;
    std::unique_ptr<Lane> lane;  // while they are read
    Waiters waiters;
  };
  using Paths = std::function<std::vector<std::string>()>;
  using Make = std::function<void(Content&)>;
  // Runs `paths` and `make` on a lane.
  asio::awaitable<std::shared_ptr<const Content>> find(std::shared_ptr<Exchange> exchange, std::string key, Paths paths,
                                                       Make make);
  std::shared_ptr<Entry> entry(const std::string& key);
  void read(const std::shared_ptr<Entry>& entry, const Paths& paths, const Make& make);

  MakeLane make_lane_;
  std::chrono::milliseconds recheck_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  std::uint64_t long_files_ = 0;
};

// RFC 4648 section 4.
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace perjoule::http
