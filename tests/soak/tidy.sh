#!/usr/bin/env bash
# needs: clang-tidy-19; 15 minutes on two cores
# clang-tidy over every unit, whether tests/tidy.clean knows it or not.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec tests/tidy.py --all --jobs "${JOBS:-2}"
