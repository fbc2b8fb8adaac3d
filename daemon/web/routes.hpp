// The HTTP routes of the daemon: /metrics, health, reload, the landing page, and Prometheus' API over the history,
// whose requests are passed on to other threads. Runs on the web thread only; opens no file.
//
// `/metrics` is rendered at most once per 100 ms, format and set of collectors, so that many scrapes cost copies and
// not renderings. Health and metrics answer any client that reaches the listener; the page, the API and reload answer
// only local clients (access.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/http/body_budget.hpp"
#include "daemon/http/message.hpp"
#include "daemon/query/api.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/sampling/sources.hpp"
#include "daemon/self/instruments.hpp"
#include "daemon/self/reloader.hpp"

namespace perjoule::web {

// Passes copies of the sources' status from the loop to the web thread. Thread-safe.
class SourceStatusTable {
 public:
  struct Content {
    std::vector<SourceStatus> sources;
    bool ready = false;
    std::string storage;                  // one line: path and state
    std::vector<std::string> notes = {};  // a line each: what the reader should know about the alerts
  };
  void set(Content content) {
    const std::lock_guard lock(mutex_);
    content_ = std::make_shared<const Content>(std::move(content));
  }
  [[nodiscard]] std::shared_ptr<const Content> get() const {
    const std::lock_guard lock(mutex_);
    return content_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Content> content_ = std::make_shared<const Content>();
};

struct Setup {
  const Clock& clock;
  const Latest& latest;
  Instruments& instruments;
  const SourceStatusTable& source_status;
  std::string telemetry_path;
  std::string version;  // for the page
  // Families by the name that `?collect[]=` takes: a collector's name, "node" or "self".
  std::map<std::string, std::set<std::string_view>, std::less<>> collects;
  // Reloads later and on another thread; then calls its argument with what came of it. Null: --web.enable-lifecycle is
  // off.
  std::function<void(Reloader::Done)> reload;
  // Answers an API request later and on another thread; `path` is the part after "/api/v1/".
  using Ask = std::function<void(std::string path, query::Parameters, std::function<void(query::Answer)>)>;
  Ask ask = {};                                    // for the history; null: without storage
  Ask ask_rules = {};                              // for "alerts" and "rules"
  http::BodyBudget bodies{std::size_t{32} << 20};  // of all responses; copies count together
};

class Routes {
 public:
  explicit Routes(Setup setup) : setup_(std::move(setup)) {}
  [[nodiscard]] http::Response operator()(const http::Request& request);

 private:
  struct Rendered {
    std::int64_t steady_ns = 0;
    std::shared_ptr<const std::string> plain;
    std::shared_ptr<const std::string> gzipped;
  };
  static constexpr std::size_t rendered_max = 16;
  using Collects = std::set<std::string_view>;  // names of `?collect[]=`; empty: all
  Rendered& rendered(Format format, const Collects& collects);
  http::Response metrics(const http::Request& request);
  http::Response page(const http::Request& request) const;
  http::Response reload(const http::Request& request);
  http::Response api(const http::Request& request) const;
  std::string render(Format format, const Latest::Admit& admit, bool self);

  Setup setup_;
  std::size_t largest_ = 32 * 1024;  // bytes of the largest rendering so far, to reserve for the next one
  std::map<std::pair<Format, Collects>, Rendered> rendered_;  // at most rendered_max
  std::optional<std::int64_t> reload_asked_ns_;               // steady clock, of the last reload that was passed on
  std::shared_ptr<std::atomic<bool>> reloading_ = std::make_shared<std::atomic<bool>>(false);
};

// The format that an Accept header prefers (RFC 9110 12.5.1): OpenMetrics 1.0 when its quality is at least that of
// text, else text 0.0.4.
[[nodiscard]] Format negotiate(std::string_view accept);

// The landing page: state and remedy of every source, and links. Static HTML without scripts.
[[nodiscard]] std::string landing_page(const Setup& setup, const SourceStatusTable::Content& content,
                                       std::int64_t wall_ms);

}  // namespace perjoule::web
