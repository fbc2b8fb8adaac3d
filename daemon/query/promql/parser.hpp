// Reads the part of PromQL that is answered here. Pure; any thread.
//
//   selectors       power{gpu=~"0|1"}, {__name__="power"}, power[1h30m]
//   functions       rate, increase, delta, {avg,min,max,sum,count,last}_over_time, scalar, vector, time
//   aggregations    sum, avg, min, max, count, with by or without
//   operators       + - * / % ^ == != > < >= <= between scalars, and between a vector and a scalar; unary + and -
//
// Grammar, types and positions are those of Prometheus 2.42 (its promql/parser). What that knows and this does not is
// refused by name and place, and told from what is wrong.
#pragma once

#include <string_view>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/query/promql/expression.hpp"

namespace perjoule::query {

// Broken: "1:5: parse error: ...", no PromQL. Denied: "unsupported: offset at 1:5: ...", PromQL that is not answered.
[[nodiscard]] Result<Expression> parse(std::string_view query);

// `match[]`: an instant selector and nothing else.
[[nodiscard]] Result<std::vector<Matcher>> parse_selector(std::string_view query);

}  // namespace perjoule::query
