#include "daemon/alerts/notify/maintenance_watch.hpp"

#include <utility>

namespace perjoule::alerts {

MaintenanceWatch::MaintenanceWatch(MakeLane make_lane, const Clock& clock, std::filesystem::path path,
                                   std::function<void()> on_read)
    : make_lane_(std::move(make_lane)), clock_(clock), path_(std::move(path)), on_read_(std::move(on_read)) {
  if (!path_.empty()) state_ = read(path_, clock_.now().wall_ms);
}

MaintenanceWatch::State MaintenanceWatch::read(const std::filesystem::path& path, std::int64_t now_ms) {
  const Result<std::optional<Maintenance>> found = read_maintenance(path, now_ms);
  if (!found) return {std::nullopt, found.error()};
  return {*found, std::nullopt};
}

void MaintenanceWatch::look() {
  if (path_.empty()) return;
  if (!lane_) lane_ = make_lane_();
  if (lane_->busy()) return;
  const auto next = std::make_shared<State>();
  std::function<void()> work = [next, path = path_, now_ms = clock_.now().wall_ms] { *next = read(path, now_ms); };
  // Not called after the lane's end, and so not after this object's.
  std::function<void()> done = [this, next] {
    state_ = std::move(*next);
    if (on_read_) on_read_();
  };
  // Without a thread the last known state holds, and the next second tries again.
  [[maybe_unused]] const bool started = lane_->start(std::move(work), std::move(done));
}

std::optional<Maintenance> MaintenanceWatch::on() const {
  const bool ended = !state_.announced || state_.announced->until_ms <= clock_.now().wall_ms;
  return ended ? std::nullopt : state_.announced;
}

}  // namespace perjoule::alerts
