// Sends the telemetry of tests/bench/feed.hpp, a thousand series at one sample a second, to a peer on the loopback by
// Prometheus' remote write.
//
//   bench_feed PORT START_MS SECONDS TICKS_PER_REQUEST
//
// Prints the number of accepted samples and the duration in seconds. Each request waits for its answer; any answer but
// 204 ends the program.
//
// A request is POST /api/v1/write with a snappy block of the protobuf message (prometheus/prompb/remote.proto,
// types.proto)
//
//   WriteRequest { repeated TimeSeries timeseries = 1; }
//   TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//   Label        { string name = 1; string value = 2; }          sorted by name
//   Sample       { double value = 1; int64 timestamp = 2; }      milliseconds
//
// The block is a single literal, which is valid and cheapest for the peer to unpack.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/feed.hpp"

namespace {

using namespace perjoule;

constexpr std::size_t series_count = 1000;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "bench_feed: {}\n", what);
  std::exit(1);
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U)
    out.push_back(static_cast<char>(value | 0x80U));
  out.push_back(static_cast<char>(value));
}

// A field of wire type 2: key, length, bytes. All field numbers here are below 16, so the key is one byte.
void append_field(std::string& out, unsigned number, std::string_view bytes) {
  out.push_back(static_cast<char>(number << 3U | 2U));
  append_varint(out, bytes.size());
  out += bytes;
}

void append_label(std::string& out, std::string_view name, std::string_view value) {
  std::string label;
  append_field(label, 1, name);
  append_field(label, 2, value);
  append_field(out, 1, label);
}

void append_sample(std::string& out, double value, std::int64_t stamp_ms) {
  std::string sample(1, '\x09');  // field 1, eight bytes
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  sample.append(bytes, sizeof bytes);
  sample.push_back('\x10');  // field 2, varint
  append_varint(sample, static_cast<std::uint64_t>(stamp_ms));
  append_field(out, 2, sample);
}

std::string snappy_literal(const std::string& bytes) {
  std::string block;
  append_varint(block, bytes.size());
  block.push_back('\xfc');  // a literal; its length - 1 is in the next four bytes
  for (unsigned shift = 0; shift < 32; shift += 8)
    block.push_back(static_cast<char>((bytes.size() - 1) >> shift));
  return block + bytes;
}

// A keep-alive connection.
class Peer {
 public:
  explicit Peer(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_ < 0 || ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      fail(fmt::format("cannot connect to port {}: {}", port, std::strerror(errno)));
    }
  }
  ~Peer() { ::close(socket_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void write(const std::string& message) {
    const std::string block = snappy_literal(message);
    send(
        fmt::format("POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
                    "Content-Length: {}\r\n\r\n",
                    block.size()));
    send(block);
    check(answer());
  }

 private:
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) fail(fmt::format("cannot send: {}", std::strerror(errno)));
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // The expected answer, 204, has no body; other answers are an error, so their body is not read.
  std::string answer() const {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      char bytes[4096];
      const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0) fail(fmt::format("no answer: {}", got == 0 ? "connection closed" : std::strerror(errno)));
      head.append(bytes, static_cast<std::size_t>(got));
    }
    return head;
  }

  static void check(const std::string& head) {
    if (!head.starts_with("HTTP/1.1 204 ")) fail("expected 204 from the peer, got: " + head);
  }

  int socket_;
};

// The encoded labels of a host's series, which are the same in each request.
std::vector<std::string> labels_of(const bench::Feed& feed, std::size_t host) {
  std::vector<std::string> labels(feed.count);
  for (std::size_t s = 0; s < feed.count; ++s) {
    append_label(labels[s], "__name__", bench::metric_of(feed.shapes[s]));
    append_label(labels[s], "host", fmt::to_string(host));
    append_label(labels[s], "sensor", fmt::to_string(s));
  }
  return labels;
}

// Encodes `ticks` seconds of a host, starting at `second`.
void append_host(std::string& out, bench::Feed& feed, const std::vector<std::string>& labels, std::int64_t second,
                 std::int64_t ticks) {
  std::vector<std::string> series(labels);
  for (std::int64_t t = 0; t < ticks; ++t) {
    feed.tick(second + t);
    for (std::size_t s = 0; s < feed.count; ++s)
      append_sample(series[s], feed.values[s], feed.stamp_ms);
  }
  for (const std::string& each : series)
    append_field(out, 1, each);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::int64_t start_ms = std::strtoll(argv[2], nullptr, 10);
  const std::int64_t seconds = std::strtoll(argv[3], nullptr, 10);
  const std::int64_t ticks = std::strtoll(argv[4], nullptr, 10);
  if (ticks < 1 || seconds < 1) return 2;
  Peer peer(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)));
  std::vector<bench::Feed> feeds = bench::feeds_of(series_count, start_ms);
  std::vector<std::vector<std::string>> labels;
  for (const bench::Feed& feed : feeds)
    labels.push_back(labels_of(feed, labels.size()));
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  for (std::int64_t second = 0; second < seconds; second += ticks) {
    message.clear();
    for (std::size_t h = 0; h < feeds.size(); ++h)
      append_host(message, feeds[h], labels[h], second, std::min(ticks, seconds - second));
    peer.write(message);
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  fmt::print("samples {}\nseconds {}\n", static_cast<std::uint64_t>(seconds) * series_count, spent.count());
}
