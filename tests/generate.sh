#!/usr/bin/env bash
# Regenerates the files that perjouled itself writes, and the golden scrapes.
#
#   tests/generate.sh              builds the dev preset and writes all of them
#   tests/generate.sh --check BIN  compares the files in the repository with the output of BIN; exit 1 when one differs
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
readonly generated=("config config/perjoule.json" "schema config/perjoule.schema.json"
  "metrics deploy/metrics.md" "keys deploy/configuration.md" "alerts deploy/alerts.md"
  "rules deploy/prometheus/perjoule.rules.yml" "man deploy/man/perjouled.8" "man deploy/man/perjoule.json.5")

# write BINARY WHAT NAME: prints the expected content of the file NAME.
write() {
  case "$2" in
    man) deploy/man/write.py "$1" "$3" ;;
    *) "$1" describe "$2" --config.file= ;;
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
    binary=${2:?--check needs the path of perjouled}
    status=0
    for entry in "${generated[@]}"; do
      read -r what file <<<"$entry"
      if ! diff -u "$file" <(write "$binary" "$what" "${file##*/}"); then
        echo "$file differs from what perjouled writes ($what); to regenerate it: tests/generate.sh" >&2
        status=1
      fi
    done
    exit $status
    ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
