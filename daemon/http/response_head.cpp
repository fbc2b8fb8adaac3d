#include "daemon/http/response_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "config/text.hpp"

namespace perjoule::http {
namespace {

std::string_view reason(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

bool is_token(std::string_view text) {
  auto token = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), token);
}

bool is_value(std::string_view text) {
  auto control = [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; };
  return std::none_of(text.begin(), text.end(), control);
}

bool is_framing(std::string_view name) {
  static constexpr std::array<std::string_view, 5> own = {"content-length", "content-type", "content-encoding",
                                                          "connection", "transfer-encoding"};
  return std::find(own.begin(), own.end(), text::lower(name)) != own.end();
}

}  // namespace

std::optional<std::string> response_head(const Response& response, After after) {
  if (response.status < 200 || response.status > 599) return std::nullopt;
  if (!is_value(response.content_type) || !is_value(response.content_encoding)) return std::nullopt;
  std::string head;
  head.reserve(256);
  auto out = std::back_inserter(head);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  if (response.status != 204 && response.status != 304) {
    fmt::format_to(out, "Content-Length: {}\r\n", response.body ? response.body->size() : 0);
    if (!response.content_type.empty()) fmt::format_to(out, "Content-Type: {}\r\n", response.content_type);
    if (!response.content_encoding.empty()) fmt::format_to(out, "Content-Encoding: {}\r\n", response.content_encoding);
  }
  for (const auto& [name, value] : response.headers) {
    if (!is_token(name) || is_framing(name) || !is_value(value)) return std::nullopt;
    fmt::format_to(out, "{}: {}\r\n", name, value);
  }
  if (after == After::close) head += "Connection: close\r\n";
  if (after == After::keep_alive) head += "Connection: keep-alive\r\n";
  head += "\r\n";
  return head;
}

std::string refusal(unsigned status, std::string_view why) {
  Response response;
  response.status = status;
  if (status == 405) response.headers.emplace_back("Allow", "GET, HEAD, POST, PUT");
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  response.body = make_body(fmt::format("{} {}: {}\n", status, reason(status), why));
  return response_head(response, After::close).value_or("") + *response.body;
}

}  // namespace perjoule::http
