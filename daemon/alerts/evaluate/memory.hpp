// Alerts as texts in the ledger, so that a restart neither pages again nor forgets. Pure; any thread.
//
//   key    alert/NAME/SEVERITY/LABELS        LABELS as a scrape shows them: a="b",c="d"
//   text   PHASE STARTS_MS SINCE_MS VALUE    pending or firing; wall clock
//          CONDITION                         one line
//          SUMMARY                           the rest
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/alerts/evaluate/evaluator.hpp"

namespace perjoule::alerts {

inline constexpr std::string_view memory_prefix = "alert/";

[[nodiscard]] std::string memory_key(const Alert& alert);
[[nodiscard]] std::string memory_text(const Transition& transition);
// Nothing where it is no such text: another version wrote it, or it is damaged.
[[nodiscard]] std::optional<Remembered> remember(std::string_view key, std::string_view text);

}  // namespace perjoule::alerts
