#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); ten minutes
# Kills (-9) a process that stores history, 200 times: in turn inside a commit, a seal, its roll-ups and a retention
# pass, and at a random moment. KILLS=n changes the number, FIRST=seed the first random seed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev kill_history >/dev/null
exec build/dev/tests/kill_history --kills="${KILLS:-200}" --first="${FIRST:-1}"
