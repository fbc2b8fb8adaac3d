#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); a minute
# Two hundred and ten power cuts under the history, thirty in each phase; CUTS=n and FIRST=seed change them.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev power_cut >/dev/null
exec build/dev/tests/power_cut --cuts="${CUTS:-210}" --first="${FIRST:-1}"
