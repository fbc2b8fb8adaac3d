#!/usr/bin/env bash
# needs: a build in build/dev (cmake --preset dev && ninja -C build/dev virtual_week); 300 MB in /dev/shm or /tmp
# A week of virtual time in which devices and jobs come and go: neither memory nor files may grow.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
[ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && export TMPDIR=/dev/shm
exec build/dev/tests/virtual_week "$@"
