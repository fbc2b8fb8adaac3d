#!/usr/bin/env bash
# Measures perjoule beside its peers and prints one line per figure: FIGURE VALUE UNIT, and where a peer is measured in
# the same run FIGURE VALUE UNIT PEER PEER_VALUE RATIO (the peer's value divided by ours).
#
#   tests/bench/run.sh [scrape|storage|daemon|gpu|all] [--json]     all is the default; --json: one object per line
#
# Values are medians of at least five runs, ours and the peer's turn by turn or side by side; storage feeds each of its
# peers once. Everything happens on the loopback and in build/bench/measured; what it starts it ends. The lines above
# the figures (on stderr) say how busy the host was: on a shared one only ratios mean something. Exit 0: measured; 1: it
# could not; 2: usage.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.."
group=all
arguments=()
for argument in "$@"; do
  case "$argument" in
    scrape | storage | daemon | gpu | all) group=$argument ;;
    --json) arguments+=(--json) ;;
    efficiency)
      echo "run.sh: \"$argument\" is not measured yet: the daemon has nothing of the kind so far" >&2
      exit 2 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown argument \"$argument\"; one of: scrape, storage, daemon, gpu, all, --json" >&2; exit 2 ;;
  esac
done

deploy/install-dependencies.sh bench >&2
mkdir -p build
if ! { cmake --preset bench && ninja -C build/bench -j "${JOBS:-2}"; } >build/bench.log 2>&1; then
  cat build/bench.log >&2
  exit 1
fi
exec python3 tests/bench/measure.py "$group" "${arguments[@]}"
