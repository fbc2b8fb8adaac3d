// Reads the terms and expressions of an alert rule from JSON; rule_reader.hpp has the grammar.
//
// A refusal goes to the list that the cursor carries, with the place in the file, the path of the key and what was
// expected there; reading goes on, so that one run shows all of them. For the rule reader alone. Pure; any thread.
#pragma once

#include <optional>

#include "daemon/alerts/rules/catalogue.hpp"
#include "daemon/alerts/rules/json_cursor.hpp"
#include "daemon/alerts/rules/rule.hpp"

namespace perjoule::alerts {

// The members value, minus and over of `owner`. Nothing where one of them is refused; the refusals are
// noted then. An owner with all three:
//
//   { "value": { "metric": "perjoule_gpu_power_limit_watts" }, "minus": { "metric": "perjoule_gpu_power_watts" },
//     "over": { "metric": "perjoule_gpu_power_limit_watts" } }
[[nodiscard]] std::optional<Expression> read_expression(const JsonCursor& owner, const Catalogue& catalogue);

// Refuses a join in which one series of `value` could meet several of `partner`, as far as labels show it before there
// are data. `where` is the place of `partner` in the file. A join that only the data
// show to be ambiguous is counted when the rule is evaluated (perjoule_alert_overflows_total).
[[nodiscard]] bool check_join(const Term& value, const Term& partner, const JsonCursor& where);

}  // namespace perjoule::alerts
