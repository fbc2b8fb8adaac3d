#!/usr/bin/env bash
# needs: a build in build/dev (cmake --preset dev && ninja -C build/dev perjouled); 10 minutes
# Each file of the storage is moved, deleted, replaced or overwritten under a running daemon, which is killed at 20
# random moments from two seconds later on: no total that was scraped falls, no sample that the API answered is lost.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
PERJOULE_STRIKES=${STRIKES:-20} exec /usr/bin/python3 tests/end_to_end/lost_files.py build/dev/perjouled
