// The table of `once`: the node, a line per CPU package, a line per GPU by slot. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "daemon/commands/findings.hpp"
#include "daemon/commands/survey.hpp"

namespace perjoule {

// "OK: 8 of 8 GPUs, 97 % of power measured", or the problems.
[[nodiscard]] std::string verdict(const Survey& survey, const std::vector<Finding>& findings);

// The verdict, the table and the problems, in at most 100 columns. In W, degrees celsius (C), %, GiB and GHz; what is
// not known is blank. Of the problems at most as many are listed as there are lines for.
[[nodiscard]] std::string table(const Survey& survey, const std::vector<Finding>& findings);

}  // namespace perjoule
