#!/usr/bin/env bash
# needs: what building needs (deploy/install-dependencies.sh); ten minutes
# Two hundred times kill -9 under a process that keeps a history, by turns inside a commit, a seal, its roll-ups and a
# retention pass, and at any moment; KILLS=n and FIRST=seed change them.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
cmake --preset dev >/dev/null
ninja -C build/dev kill_history >/dev/null
exec build/dev/tests/kill_history --kills="${KILLS:-200}" --first="${FIRST:-1}"
