// Series that come and go while retention expires them: their identities must be deleted with their data, and neither
// the duration of a commit nor memory may grow.
#pragma once

#include <cstdint>

#include "tests/soak/figures.hpp"

namespace perjoule {

// Writes `series` series in total, a thousand at a time, in groups of twenty that live 15 to 30 minutes. The process is
// restarted every `restart_hours` of simulated time, 0: never, because a process keeps all series that it has described
// (storage/history/identities.hpp), and a daemon describes at most 20,000.
void churn(std::int64_t series, std::int64_t restart_hours, Verdict& verdict);

}  // namespace perjoule
