#include "daemon/self/reloader.hpp"

#include <fmt/format.h>

namespace perjoule {

void Reloader::request(Done done) {
  again_ = true;
  if (hangs_ && done) return done(Outcome::hangs);
  if (done) asked_next_.push_back(std::move(done));
  if (!reading_) begin();
}

void Reloader::begin() {
  again_ = false;
  asked_ = std::exchange(asked_next_, {});
  began_ns_ = parts_.clock.now().steady_ns;
  parts_.service.reloading();
  const auto found = std::make_shared<Found>();
  std::function<void()> work = [found, read = parts_.read] { *found = read(); };
  std::function<void()> done = [this, found] { finish(*found); };
  reading_ = parts_.lane->start(std::move(work), std::move(done));
  if (reading_) return;
  const Error error = thread_error();
  parts_.log.error("configuration not reloaded; the running configuration stays in force",
                   {{"error", error.what}, {"remedy", error.remedy}});
  settle(Outcome::refused, "the last reload failed, see the log");
}

void Reloader::watch() {
  const std::int64_t lasted_ns = parts_.clock.now().steady_ns - began_ns_;
  if (!reading_ || hangs_ || lasted_ns < hangs_after_ns) return;
  hangs_ = true;
  parts_.log.error(
      "reading the configuration hangs; the running configuration stays in force until it has been read",
      {{"error", fmt::format("its files have not been read for {} s", lasted_ns / nanoseconds_per_second)},
       {"remedy", "look for a disk or file system that does not answer: dmesg, and the runbook config-reload-failed"}});
  settle(Outcome::hangs, "the last reload hangs, see the log");
  for (const Done& done : std::exchange(asked_next_, {}))
    done(Outcome::hangs);
}

void Reloader::finish(const Found& found) {
  reading_ = false;
  hangs_ = false;
  if (found.refusals.empty()) {
    found.apply();
    settle(Outcome::accepted, "");
  } else {
    parts_.log.error("configuration not reloaded; the running configuration stays in force",
                     {{"refusals", found.refusals}});
    settle(Outcome::refused, "the last reload was refused, see the log");
  }
  if (again_) begin();
}

void Reloader::settle(Outcome outcome, std::string_view trouble) {
  parts_.instruments.reload(outcome == Outcome::accepted, static_cast<double>(parts_.clock.now().wall_ms) / 1000);
  parts_.service.reloaded(trouble);
  for (const Done& done : std::exchange(asked_, {}))
    done(outcome);
}

}  // namespace perjoule
