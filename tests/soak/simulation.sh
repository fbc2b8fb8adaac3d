#!/usr/bin/env bash
# needs: a build in build/dev (cmake --preset dev && ninja -C build/dev simulation)
# A thousand seeds of an hour of virtual time each; SEEDS=n changes the number.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec build/dev/tests/simulation --seeds="${SEEDS:-1000}"
