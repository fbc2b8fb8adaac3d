#!/usr/bin/env bash
# needs: a build in build/dev (cmake --preset dev && ninja -C build/dev perjouled nvml_stand_in stall_disk); 2 minutes
# The disk does not answer for 70 seconds: an alert names it and none names a GPU, no total stands still, no sample is
# lost.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
PERJOULE_HANG_SECONDS=${SECONDS_HUNG:-70} exec /usr/bin/python3 tests/end_to_end/disk_hang.py build/dev/perjouled
