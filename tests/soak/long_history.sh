#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); 4 GB of memory, 1 GB of disk; 20 to 40 minutes
# Tests a history that exceeds its size limit: a year, a week, a hundred thousand series, and series that come and go.
# Arguments: the modes to run (year week wide churn); default: all.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset bench >/dev/null
ninja -C build/bench long_history >/dev/null
modes=("$@")
[ ${#modes[@]} -gt 0 ] || modes=(year week wide churn)
failed=0
for mode in "${modes[@]}"; do
  (cd build && bench/tests/soak/long_history "$mode") || failed=1
done
exit "$failed"
