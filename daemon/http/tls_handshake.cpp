#include "daemon/http/tls_handshake.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <string_view>
#include <vector>

#include "config/text.hpp"

namespace perjoule::http {

namespace {

constexpr std::size_t names_shown_max = 5;

// The names and addresses that the certificate is for, as text for a message: its issuer may be anyone.
std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all) && names.size() <= names_shown_max; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type == GEN_DNS) {
      const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      const auto size = static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName));
      names.push_back(text::quoted_short({bytes, size}));
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> shown{};
      inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), shown.data(), shown.size());
      if (size == 4 || size == 16) names.emplace_back(shown.data());
    }
  }
  GENERAL_NAMES_free(all);
  if (names.size() > names_shown_max) names.back() = "..";
  return names;
}

bool is_name_mismatch(long verdict) {
  return verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

Error refused(long verdict, const std::vector<std::string>& names, std::string_view name, std::string_view where) {
  if (!is_name_mismatch(verdict))
    return {Fault::broken, fmt::format("TLS with {}: {}", where, X509_verify_cert_error_string(verdict)),
            "the server needs a valid certificate from an authority that this host trusts, or that tls.ca_file names"};
  const std::string has = names.empty() ? "it has no subjectAltName, and its common name does not count"
                                        : fmt::format("it is for {}", fmt::join(names, ", "));
  return {Fault::broken, fmt::format("TLS with {}: the certificate is not for {}: {}", where, name, has),
          "the server needs a certificate with this subjectAltName, or tls.server_name must be a name that it has"};
}

void expect_name(SSL* ssl, std::string name) {
  if (name.ends_with('.')) name.pop_back();  // of a fully qualified name; certificates have none
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(parameters,
                                  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  error_code no_address;
  asio::ip::make_address(name, no_address);
  if (!no_address) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
    return;
  }
  X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size());
  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
}

}  // namespace

std::string remedy_of(const error_code& error) {
  if (error.category() != asio::error::get_ssl_category()) return {};
  const std::string message = error.message();
  if (message.find("alert") == std::string::npos) return {};
  if (message.find("certificate") == std::string::npos && message.find("unknown ca") == std::string::npos) return {};
  return "the server accepts only client certificates that it knows: tls.cert_file and tls.key_file";
}

asio::awaitable<Result<void>> shake_hands(std::shared_ptr<Exchange> exchange,
                                          std::shared_ptr<asio::ssl::context> context, std::string name,
                                          std::string where) {
  const std::shared_ptr<ClientConnection> connection = exchange->connection;
  connection->tls_context = context;
  auto& tls = connection->tls.emplace(connection->socket, *context);
  expect_name(tls.native_handle(), name);
  const auto names = std::make_shared<std::vector<std::string>>();
  error_code error;
  tls.set_verify_callback(
      [names](bool trusted, asio::ssl::verify_context& chain) {
        X509_STORE_CTX* store = chain.native_handle();
        if (is_name_mismatch(X509_STORE_CTX_get_error(store))) *names = names_of(X509_STORE_CTX_get0_cert(store));
        return trusted;
      },
      error);
  co_await tls.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
  if (!error && !exchange->ended()) co_return Result<void>{};
  const long verdict = SSL_get_verify_result(tls.native_handle());
  if (verdict == X509_V_OK || exchange->ended()) {
    Error failure = exchange->failure("TLS with " + where, error.message());
    failure.remedy = remedy_of(error);
    co_return failure;
  }
  co_return refused(verdict, *names, name, where);
}

}  // namespace perjoule::http
