// Parses the subset of PromQL that is supported. Pure; any thread.
//
//   selectors       power{gpu=~"0|1"}, {__name__="power"}, power[1h30m]
//   functions       rate, increase, delta, {avg,min,max,sum,count,last}_over_time, scalar, vector, time
//   aggregations    sum, avg, min, max, count, with by or without
//   operators       + - * / % ^ == != > < >= <= between scalars, and between a vector and a scalar; unary + and -
//
// Grammar, types and positions are those of Prometheus 2.42 (promql/parser). PromQL that Prometheus supports and this
// parser does not is refused with its name and position, with another fault than an invalid query.
#pragma once

#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/promql/expression.hpp"

namespace perjoule::query {

// Errors: Fault::broken, "1:5: parse error: ...": not valid PromQL. Fault::denied, "unsupported: offset at 1:5: ...":
// valid PromQL that is not supported.
[[nodiscard]] Result<Expression> parse(std::string_view query);

// Parses the value of `match[]`: one instant selector.
[[nodiscard]] Result<std::vector<Matcher>> parse_selector(std::string_view query);

}  // namespace perjoule::query
