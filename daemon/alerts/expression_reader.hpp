// Terms and expressions of a rule; rule_reader.hpp has the grammar. For the rule reader alone.
#pragma once

#include <optional>

#include "daemon/alerts/catalogue.hpp"
#include "daemon/alerts/rule.hpp"
#include "daemon/alerts/subject.hpp"

namespace perjoule::alerts {

// The members value, minus and over of `owner`. Nothing where one of them is refused.
[[nodiscard]] std::optional<Expression> read_expression(const Subject& owner, const Catalogue& catalogue);

// Refuses a partner that could be several as far as labels tell. `partner` stands at `where`.
[[nodiscard]] bool check_join(const Term& value, const Term& partner, const Subject& where);

}  // namespace perjoule::alerts
