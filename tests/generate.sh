#!/usr/bin/env bash
# The files that are written by perjouled itself, and the golden scrapes.
#
#   tests/generate.sh              builds the dev preset and writes them all anew
#   tests/generate.sh --check BIN  compares the shipped files with what BIN prints; exit 1 when one differs
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
readonly generated=("config config/perjoule.json" "schema config/perjoule.schema.json"
  "metrics deploy/metrics.md" "keys deploy/configuration.md" "alerts deploy/alerts.md"
  "rules deploy/prometheus/perjoule.rules.yml" "man deploy/man/perjouled.8" "man deploy/man/perjoule.json.5")

# write BINARY WHAT NAME: what the file of that name should hold, to stdout.
write() {
  case "$2" in
    man) deploy/man/write.py "$1" "$3" ;;
    *) "$1" describe "$2" ;;
  esac
}

case "${1:-}" in
  "")
    cmake --preset dev >/dev/null
    ninja -C build/dev perjouled unit_daemon
    for entry in "${generated[@]}"; do
      read -r what file <<<"$entry"
      write build/dev/perjouled "$what" "${file##*/}" >"$file"
    done
    PERJOULE_UPDATE_GOLDEN=1 build/dev/tests/unit_daemon --test-case='golden*'
    ;;
  --check)
    binary=${2:?--check wants the binary}
    status=0
    for entry in "${generated[@]}"; do
      read -r what file <<<"$entry"
      if ! diff -u "$file" <(write "$binary" "$what" "${file##*/}"); then
        echo "$file is not what it should be ($what); to write it anew: tests/generate.sh" >&2
        status=1
      fi
    done
    exit $status
    ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
