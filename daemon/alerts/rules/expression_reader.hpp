// Reads the terms and expressions of an alert rule from JSON; rule_reader.hpp has the grammar.
//
// A refusal is added to the cursor's list of problems with its place in the file, the path of the key and what was
// expected there. Reading goes on after a refusal, so that one run shows all problems. Used by rule_reader.cpp only.
// Pure; any thread.
#pragma once

#include <optional>

#include "config/json_cursor.hpp"
#include "daemon/alerts/rules/catalogue.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

using config::JsonCursor;

// Reads the members value, minus and over of `owner`. Returns nothing if one of them was refused. An owner with all
// three:
//
//   { "value": { "metric": "perjoule_gpu_power_limit_watts" }, "minus": { "metric": "perjoule_gpu_power_watts" },
//     "over": { "metric": "perjoule_gpu_power_limit_watts" } }
[[nodiscard]] std::optional<Expression> read_expression(const JsonCursor& owner, const Catalogue& catalogue);

// Refuses a join in which the declared labels allow several series of `partner` for one series of `value`, and returns
// false. `where` is the place of `partner` in the file. An ambiguity that only the data show is counted when the
// rule is evaluated (perjoule_alert_overflows_total{kind="partners"}).
[[nodiscard]] bool check_join(const Term& value, const Term& partner, const JsonCursor& where);

}  // namespace perjoule::alerts
