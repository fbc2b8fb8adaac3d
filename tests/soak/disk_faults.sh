#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); 10 minutes
# Each operation of two sealing windows fails, and 500 of an hour; RANDOM_RUNS=n and FIRST=seed change that.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev disk_faults >/dev/null
exec build/dev/tests/disk_faults --random="${RANDOM_RUNS:-500}" --first="${FIRST:-1}"
