// The daemon: builds every part, connects them, runs the loop and shuts down. One App per process, used by main's
// thread, which becomes the loop's thread in run(). Members are declared in order of dependency, so that they are
// destroyed in reverse order.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/loader.hpp"
#include "daemon/alerts/evaluate/engine.hpp"
#include "daemon/alerts/notify/dispatch.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/base/log.hpp"
#include "daemon/http/server.hpp"
#include "daemon/query/reader.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/sampling/gpu_roster.hpp"
#include "daemon/sampling/sampler.hpp"
#include "daemon/sampling/sources.hpp"
#include "daemon/self/change_log.hpp"
#include "daemon/self/instruments.hpp"
#include "daemon/self/reloader.hpp"
#include "daemon/self/service.hpp"
#include "daemon/web/routes.hpp"
#include "storage/directory.hpp"
#include "storage/writer.hpp"

namespace perjoule {

class App {
 public:
  // `input` is read again at each reload. `connections_max`: descriptors for clients.
  App(config::Input input, config::Loaded loaded, BuildInfo build, const Supervisor& supervisor,
      std::size_t connections_max);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Runs until SIGTERM or SIGINT. Returns the exit code: 0 ok, 1 when the storage or a listen address is not available
  // at the start (the log names it).
  int run();
  // False: a call still hangs in a driver or the last commit did not end in time; the process must call _exit(),
  // because destructors could block on that thread.
  [[nodiscard]] bool clean() const { return clean_; }
  // False: the last commit did not end in time and still holds the databases.
  [[nodiscard]] bool stored() const { return stored_; }

 private:
  bool open_storage();
  bool open_files(storage::LedgerRows& rows);
  bool listen();
  void set_retention();
  void start_reader();
  void start_alerts();
  void start_sources(const config::Settings& settings);
  asio::awaitable<void> housekeeping();
  asio::awaitable<void> signals();
  void keep_up(std::uint64_t second);
  void watch_commit();
  void commit(std::uint64_t second);
  void flush();
  void refresh(std::uint64_t second);
  void settle(const Stamp& now);
  void announce(const Stamp& now);
  struct Reading;
  void start_reloader();
  void apply(Reading reading);
  void check_rules();
  void shut_down();
  void report_storage(const storage::Report& report);

  config::Input input_;
  config::Loaded started_;
  config::Settings settings_;
  BuildInfo build_;
  std::size_t connections_max_;
  Log log_;
  ChangeLog changes_{log_};
  asio::io_context loop_{1};
  SystemClock clock_;
  Service service_;
  LaneThreads lanes_;
  Instruments instruments_;
  Latest latest_;
  std::optional<storage::Directory> directory_;
  std::shared_ptr<storage::Reading> reading_ = std::make_shared<storage::Reading>();  // of reader_, for writer_
  std::unique_ptr<storage::Writer> writer_;
  std::optional<Ledger> ledger_;
  std::optional<Recorder> recorder_;
  std::optional<Sources> sources_;
  std::optional<GpuRoster> roster_;
  std::optional<Sampler> sampler_;
  std::optional<alerts::Dispatch> dispatch_;
  std::optional<alerts::Engine> alerts_;
  std::vector<std::string> silent_rules_;  // for the page
  web::SourceStatusTable source_status_;
  http::BodyBudget bodies_{std::size_t{32} << 20};
  std::optional<Reloader> reloader_;
  std::optional<query::Reader> reader_;
  std::optional<web::Routes> routes_;
  std::unique_ptr<http::Server> server_;
  asio::signal_set signal_set_;
  std::unique_ptr<Alarm> tick_;
  double watts_per_busy_cpu_ = 0;
  std::int64_t settled_ns_ = 0;  // when every source had had its first call; 0: not yet
  bool rows_settled_ = false;
  std::int64_t commit_began_ns_ = 0;
  bool history_due_ = false;
  bool ready_ = false;
  bool announced_ = false;
  bool stopping_ = false;
  bool clean_ = true;
  bool stored_ = true;
};

}  // namespace perjoule
