// Series that come and go under a retention that expires them: identities have to go with their data, and neither the
// time of a commit nor memory may grow.
#pragma once

#include <cstdint>

#include "tests/soak/figures.hpp"

namespace perjoule {

// `series` in all, a thousand at a time, in groups of twenty that live 15 to 30 minutes. The process starts again every
// `restart_hours` of simulated time: what it has described stays as long as it lives (storage/history/identities.hpp),
// and a daemon describes no more than 20,000. 0: never.
void churn(std::int64_t series, std::int64_t restart_hours, Verdict& verdict);

}  // namespace perjoule
