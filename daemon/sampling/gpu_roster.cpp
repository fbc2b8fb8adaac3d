#include "daemon/sampling/gpu_roster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "collectors/registry.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/sampling/sections.hpp"

namespace perjoule {

namespace {

const std::string state_key = "inventory/gpus";
constexpr std::int64_t period_ns = nanoseconds_per_second;
constexpr std::int64_t stale_after_ns = 10 * nanoseconds_per_second;

bool answers(const SourceStatus& status) {
  return status.state == SourceState::ok && !status.device.empty() && is_gpu_source(status.source);
}

}  // namespace

bool is_gpu_source(std::string_view source) {
  const auto entries = registry();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry* entry) { return entry->name == source && entry->make_numbered != nullptr; });
}

struct GpuRoster::Request {
  std::error_code removal;
  bool found = false;
};

GpuRoster::GpuRoster(Ledger& ledger, Recorder& recorder, const Sources& sources, Log& log, MakeLane make_lane,
                     std::filesystem::path directory)
    : ledger_(ledger),
      recorder_(recorder),
      sources_(sources),
      log_(log),
      make_lane_(std::move(make_lane)),
      directory_(std::move(directory)),
      probe_(recorder.open_probe({"inventory", "", period_ns, stale_after_ns})) {
  const auto kept = ledger_.states(state_key);
  if (const auto found = kept.find(state_key); found != kept.end() && !inventory_->load(found->second)) {
    log_.warn("the saved GPU inventory is damaged: some GPUs may get other slot numbers");
  }
  kept_version_ = inventory_->version();
  look_for_request();
}

void GpuRoster::look_for_request() {
  if (!directory_.empty()) visit_directory();
}

// On a disk that hangs the lane stays, and the request is executed when the disk answers.
void GpuRoster::visit_directory() {
  look_again_ = lane_ != nullptr;
  if (look_again_) return;
  const auto request = std::make_shared<Request>();
  std::function<void()> work = [request, file = directory_ / accept_request, remove = executed_] {
    std::error_code ignored;
    if (remove) std::filesystem::remove(file, request->removal);
    request->found = std::filesystem::exists(file, ignored);
  };
  std::function<void()> done = [this, request] { visited(*request); };
  lane_ = make_lane_();
  if (lane_->start(std::move(work), std::move(done))) {
    executed_ = false;
    return;
  }
  lane_.reset();
  log_.warn("cannot look for a request of accept-inventory", {{"error", thread_error().what}});
}

void GpuRoster::visited(const Request& request) {
  lane_.reset();
  if (request.removal) log_.warn("cannot remove the accept-inventory request", {{"error", request.removal.message()}});
  requested_ = request.found && !request.removal && !look_again_;
  if (look_again_) visit_directory();
}

void GpuRoster::accept() {
  const std::size_t before = inventory_->expected();
  inventory_->accept([&](const Inventory::Board& board) {
    return std::any_of(sources_.list().begin(), sources_.list().end(),
                       [&](const auto& item) { return answers(item.second) && item.second.device == board.uuid; });
  });
  log_.info("inventory accepted",
            {{"gpus_expected", fmt::format("{}", inventory_->expected())}, {"before", fmt::format("{}", before)}});
  requested_ = false;
  executed_ = true;
  visit_directory();
}

void GpuRoster::tick(const Stamp& now, const config::Settings& settings) {
  if (requested_ && sources_.settled()) accept();
  std::size_t configured = 0;
  for (const Entry* entry : registry()) {
    if (entry->make_numbered == nullptr) continue;
    configured += static_cast<std::size_t>(collector_settings(settings, entry->name).options.number("expected"));
  }
  const auto answering = std::count_if(sources_.list().begin(), sources_.list().end(),
                                       [](const auto& item) { return answers(item.second); });
  const std::size_t expected = std::max(configured, inventory_->expected());
  if (expected > 0) {  // a host that never had a GPU shows no counts
    batch_.clear();
    batch_.add(gpus, count(static_cast<double>(answering)));
    batch_.add(gpus_expected, count(static_cast<double>(expected)));
    recorder_.accept(probe_, batch_, now);
  }
  if (inventory_->version() == kept_version_) return;
  kept_version_ = inventory_->version();
  ledger_.set_state(state_key, inventory_->text());
}

}  // namespace perjoule
