#!/usr/bin/env bash
# needs: a build in build/dev (cmake --preset dev && ninja -C build/dev perjouled nvml_stand_in), an idle machine
# One of eight GPUs hangs for a minute. The other GPUs must miss no tick and be on time, and scrapes must be as fast as
# before.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
PERJOULE_HANG_SECONDS=${SECONDS_HUNG:-60} exec /usr/bin/python3 tests/end_to_end/gpu_hang.py build/dev/perjouled
