// Reads the files of a config::HttpAccess and makes of them what a connection needs. For a lane, because files may lie
// on a disk that hangs. Pure apart from reading.
//
// A secret file holds one secret; white space around it is not part of it. Certificates and keys are in PEM. A key must
// not be encrypted, because a daemon cannot ask for its passphrase.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "config/http_access.hpp"

namespace perjoule::http {

inline constexpr std::size_t secret_bytes_max = std::size_t{64} << 10;  // a secret, a client certificate, a key
inline constexpr std::size_t bundle_bytes_max = std::size_t{4} << 20;   // authorities; Debian's are 220 KiB

// What of a file changes when its content does. Zeroes: there is no such file.
struct FileVersion {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};
[[nodiscard]] FileVersion version_of(const std::string& path);

// Errors: denied (with the command that permits it), absent, broken (not a regular file, too long, empty). They name
// the file and nothing of its content. `limit_hit` counts the file that is too long.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_max, bool& limit_hit);
// One line of printable characters.
[[nodiscard]] Result<std::string> read_secret(const std::string& path, bool& limit_hit);

// For a client: TLS 1.2 or newer. The authorities are those of `files.ca_file`, any of which may be the last issuer of
// a chain (X509_V_FLAG_PARTIAL_CHAIN), or else the host's: $SSL_CERT_FILE and the files of $SSL_CERT_DIR, or if neither
// is set OpenSSL's own bundle. All are read now; a handshake reads no file.
[[nodiscard]] Result<std::shared_ptr<boost::asio::ssl::context>> make_tls(const config::ClientTls& files,
                                                                          bool& limit_hit);
// The files that make_tls() reads for these settings; a directory stands for the files in it.
[[nodiscard]] std::vector<std::string> paths_of(const config::ClientTls& files);

}  // namespace perjoule::http
