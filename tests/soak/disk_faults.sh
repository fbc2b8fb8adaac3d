#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); 10 minutes
# Makes each disk operation of two sealing windows fail, and 500 operations of an hour. RANDOM_RUNS=n changes the 500,
# FIRST=seed the first random seed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev disk_faults >/dev/null
exec build/dev/tests/disk_faults --random="${RANDOM_RUNS:-500}" --first="${FIRST:-1}"
