#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); a minute
# 210 simulated power cuts while history is stored, thirty in each phase. CUTS=n changes the number, FIRST=seed the
# first random seed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev power_cut >/dev/null
exec build/dev/tests/power_cut --cuts="${CUTS:-210}" --first="${FIRST:-1}"
