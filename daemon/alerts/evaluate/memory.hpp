// Pending and firing alerts as states in the ledger, so that after a restart no alert is sent a second time and none is
// lost. Pure; any thread.
//
//   key    alert/NAME/SEVERITY/LABELS        LABELS as in a scrape: a="b",c="d"
//   text   PHASE STARTS_MS SINCE_MS VALUE    PHASE: pending or firing; times of the wall clock
//          CONDITION                         one line; if the rule has another condition now, the alert ends
//          SUMMARY                           all that follows
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/alerts/evaluate/evaluator.hpp"

namespace perjoule::alerts {

inline constexpr std::string_view memory_prefix = "alert/";

[[nodiscard]] std::string memory_key(const Alert& alert);
[[nodiscard]] std::string memory_text(const Transition& transition);
// Nothing if the text does not have this form, because another version wrote it or it is damaged.
[[nodiscard]] std::optional<Remembered> remember(std::string_view key, std::string_view text);

}  // namespace perjoule::alerts
