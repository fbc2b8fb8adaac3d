#include "daemon/http/access_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace perjoule::http {

namespace {

namespace ssl = boost::asio::ssl;

constexpr std::size_t directory_files_max = 1000;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The same for root and for the service's user, which is a member of the group perjoule.
std::string permit(const std::string& path) {
  return fmt::format("chgrp perjoule {0} && chmod g+r {0}", path);
}

// Whether the name is one that `openssl rehash` gives: eight hexadecimal digits and a number.
bool is_hash_name(std::string_view name) {
  return name.size() >= 10 && name[8] == '.' &&
         name.substr(0, 8).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         name.substr(9).find_first_not_of("0123456789") == std::string_view::npos;
}

// Adds each certificate of `pem`, and returns their number.
std::size_t add_authorities(ssl::context& context, const std::string& pem) {
  X509_STORE* store = SSL_CTX_get_cert_store(context.native_handle());
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  std::size_t count = 0;
  while (X509* certificate = PEM_read_bio_X509_AUX(bio, nullptr, nullptr, nullptr)) {
    if (X509_STORE_add_cert(store, certificate) == 1) ++count;
    X509_free(certificate);
  }
  BIO_free(bio);
  ERR_clear_error();  // the end of the file is an error too
  return count;
}

struct HostAuthorities {
  std::string file;
  std::string directory;
};

// getenv() is safe beside threads that do not call setenv(), which the daemon never does.
HostAuthorities host_authorities() {
  const char* file = std::getenv(X509_get_default_cert_file_env());      // NOLINT(concurrency-mt-unsafe)
  const char* directory = std::getenv(X509_get_default_cert_dir_env());  // NOLINT(concurrency-mt-unsafe)
  HostAuthorities found{file == nullptr ? "" : file, directory == nullptr ? "" : directory};
  if (!found.file.empty() || !found.directory.empty()) return found;
  for (const char* bundle : {X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt",
                             "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(bundle, ignored)) return {bundle, ""};
  }
  return {"", X509_get_default_cert_dir()};
}

// What cannot be read is left out: the handshake then refuses every certificate that would need it.
void trust_host(ssl::context& context, bool& limit_hit) {
  const HostAuthorities host = host_authorities();
  if (!host.file.empty()) {
    if (const Result<std::string> pem = read_file(host.file, bundle_bytes_max, limit_hit))
      add_authorities(context, *pem);
  }
  if (host.directory.empty()) return;
  std::error_code error;
  std::size_t files = 0;
  for (std::filesystem::directory_iterator at(host.directory, error), end; !error && at != end; at.increment(error)) {
    if (!is_hash_name(at->path().filename().string())) continue;
    if (++files > directory_files_max) break;
    if (const Result<std::string> pem = read_file(at->path().string(), secret_bytes_max, limit_hit))
      add_authorities(context, *pem);
  }
}

Result<void> trust_file(ssl::context& context, const std::string& path, bool& limit_hit) {
  const Result<std::string> pem = read_file(path, bundle_bytes_max, limit_hit);
  if (!pem) return pem.error();
  if (add_authorities(context, *pem) == 0)
    return Error{Fault::broken, path + ": no certificate in it", "ca_file must hold certificates in PEM"};
  X509_STORE_set_flags(SSL_CTX_get_cert_store(context.native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
  return {};
}

Result<void> present(ssl::context& context, const config::ClientTls& files, bool& limit_hit) {
  const Result<std::string> certificate = read_file(files.cert_file, secret_bytes_max, limit_hit);
  if (!certificate) return certificate.error();
  const Result<std::string> key = read_file(files.key_file, secret_bytes_max, limit_hit);
  if (!key) return key.error();
  boost::system::error_code error;
  context.use_certificate_chain(boost::asio::buffer(*certificate), error);
  if (error)
    return Error{Fault::broken, files.cert_file + ": not a certificate in PEM",
                 "the chain begins with the client's own"};
  // Without a callback OpenSSL would ask at the terminal.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context.use_private_key(boost::asio::buffer(*key), ssl::context::pem, error);
  ERR_clear_error();
  if (error)
    return Error{Fault::broken,
                 fmt::format("{}: no private key for {}: {}", files.key_file, files.cert_file, error.message()),
                 "it must be in PEM, not encrypted (openssl pkey -in KEY -out NEW), and the key of that certificate"};
  return {};
}

}  // namespace

FileVersion version_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max, bool& limit_hit) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    const int number = errno;
    Error error = error_from_errno(number, path);
    error.remedy = error.fault == Fault::denied ? permit(path) : "create the file, or correct its path";
    return error;
  }
  std::string content;
  std::string wrong;
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) wrong = "not a regular file";
  std::array<char, 16384> part{};
  while (wrong.empty() && content.size() <= bytes_max) {
    const ssize_t count = ::read(descriptor, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) wrong = std::generic_category().message(errno);
    if (count <= 0) break;
    content.append(part.data(), static_cast<std::size_t>(count));
  }
  ::close(descriptor);
  if (content.size() > bytes_max) {
    limit_hit = true;
    wrong = fmt::format("longer than {} bytes", bytes_max);
  }
  if (wrong.empty() && content.empty()) wrong = "empty";
  if (!wrong.empty()) return Error{Fault::broken, fmt::format("{}: {}", path, wrong)};
  return content;
}

Result<std::string> read_secret(const std::string& path, bool& limit_hit) {
  Result<std::string> content = read_file(path, secret_bytes_max, limit_hit);
  if (!content) return content;
  constexpr std::string_view space = " \t\r\n";
  std::string_view secret = *content;
  secret.remove_prefix(std::min(secret.find_first_not_of(space), secret.size()));
  secret = secret.substr(0, secret.find_last_not_of(space) + 1);
  if (secret.empty()) return Error{Fault::broken, path + ": empty", "write the secret into it"};
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7F'; };
  if (std::any_of(secret.begin(), secret.end(), control))
    return Error{Fault::broken, path + ": more than one line, or a control character", "one line with the secret"};
  return std::string(secret);
}

std::vector<std::string> paths_of(const config::ClientTls& files) {
  std::vector<std::string> paths;
  if (files.ca_file.empty()) {
    const HostAuthorities host = host_authorities();
    paths = {host.file, host.directory};
  }
  for (const std::string& path : {files.ca_file, files.cert_file, files.key_file})
    paths.push_back(path);
  std::erase(paths, "");
  return paths;
}

Result<std::shared_ptr<ssl::context>> make_tls(const config::ClientTls& files, bool& limit_hit) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  boost::system::error_code ignored;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(ssl::verify_peer, ignored);
  if (files.ca_file.empty()) {
    trust_host(*context, limit_hit);
  } else if (const Result<void> trusted = trust_file(*context, files.ca_file, limit_hit); !trusted) {
    return trusted.error();
  }
  if (!files.cert_file.empty()) {
    if (const Result<void> presented = present(*context, files, limit_hit); !presented) return presented.error();
  }
  return context;
}

}  // namespace perjoule::http
