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

// After accept-inventory a removed board is shown as not lost for this long, so that its alert ends at once.
constexpr std::int64_t farewell_ns = 60 * nanoseconds_per_second;

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

GpuRoster::GpuRoster(Ledger& ledger, Recorder& recorder, Sources& sources, Log& log, MakeLane make_lane,
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
  sources.find_gpus([this](std::string_view source, std::string_view device) { return labels_of(source, device); });
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

Sources::GpuLabels GpuRoster::labels_of(std::string_view source, std::string_view device) const {
  if (device.empty() || !is_gpu_source(source)) return {};
  for (const Inventory::Board& board : inventory_->boards()) {
    if (board.uuid == device || board.address == device) return {fmt::format("{}", board.slot), board.uuid};
  }
  return {};
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

// What the sources say about a board: whether it answers, and whether its driver says that it is lost.
std::pair<bool, bool> GpuRoster::heard_of(const Inventory::Board& board) const {
  std::pair<bool, bool> heard;
  for (const auto& [key, status] : sources_.list()) {
    if (status.device.empty() || !is_gpu_source(status.source)) continue;
    if (status.device != board.uuid && status.device != board.address) continue;
    heard.first = heard.first || answers(status);
    heard.second = heard.second || status.lost;
  }
  return heard;
}

// Whether each board of the inventory answers, and for how long it has not.
void GpuRoster::look(const Stamp& now, std::optional<std::size_t> configured) {
  std::vector<Inventory::Board> boards = inventory_->boards();
  std::erase_if(boards, [&](const Inventory::Board& board) {
    return board.uuid.empty() && inventory_->is_unexpected(board.address, configured);
  });
  for (const Inventory::Board& board : boards) {
    const auto is_it = [&board](const Watch& watch) { return watch.board == board; };
    if (std::none_of(watched_.begin(), watched_.end(), is_it)) watched_.push_back({board, now.steady_ns, {}, 0});
  }
  for (Watch& watch : watched_) {
    const Inventory::Board& board = watch.board;
    const bool listed = std::find(boards.begin(), boards.end(), board) != boards.end();
    watch.left_ns = listed ? 0 : watch.left_ns == 0 ? now.steady_ns : watch.left_ns;
    const auto [answering, said_lost] = heard_of(board);
    if (answering || !listed) {
      watch.answered_ns = now.steady_ns;
      watch.lost = false;
    } else if (said_lost || now.steady_ns - watch.answered_ns >= patience_ns) {
      watch.lost = true;
    }
  }
  std::erase_if(watched_,
                [&](const Watch& watch) { return watch.left_ns != 0 && now.steady_ns - watch.left_ns >= farewell_ns; });
}

void GpuRoster::show_lost(std::size_t expected) {
  std::size_t known = 0;
  for (const Watch& watch : watched_) {
    if (watch.left_ns == 0) ++known;
    if (!watch.lost) continue;
    batch_.add(gpu_lost, count(*watch.lost ? 1 : 0), fmt::format("{}", watch.board.slot), watch.board.uuid,
               watch.board.address);
  }
  batch_.add(gpus_unseen, count(expected > known ? static_cast<double>(expected - known) : 0));
}

void GpuRoster::tick(const Stamp& now, const config::Settings& settings) {
  if (requested_ && sources_.settled()) accept();
  std::optional<std::size_t> configured;
  for (const Entry* entry : registry()) {
    if (entry->make_numbered == nullptr) continue;
    const Options options = collector_settings(settings, entry->name).options;
    if (options.has("expected"))
      configured = configured.value_or(0) + static_cast<std::size_t>(options.number("expected"));
  }
  look(now, configured);
  const auto answering = std::count_if(sources_.list().begin(), sources_.list().end(),
                                       [](const auto& item) { return answers(item.second); });
  const std::size_t expected = configured.value_or(inventory_->expected());
  if (expected > 0) {  // a host that never had a GPU shows no counts
    batch_.clear();
    batch_.add(gpus, count(static_cast<double>(answering)));
    batch_.add(gpus_expected, count(static_cast<double>(expected)));
    show_lost(expected);
    recorder_.accept(probe_, batch_, now);
  }
  if (inventory_->version() == kept_version_) return;
  kept_version_ = inventory_->version();
  ledger_.set_state(state_key, inventory_->text());
}

}  // namespace perjoule
