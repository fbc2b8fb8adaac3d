#!/usr/bin/env bash
# From a fresh checkout to the first numbers: installs missing packages, builds perjouled, runs it in the foreground.
#
#   deploy/quickstart.sh [--build-only] [-- ARGUMENTS...]     arguments go to perjouled
#
# Run it as a normal user: only the packages need root, and sudo is used for those only. Data go to .perjoule in the
# repository, whatever the current directory is. The second run takes seconds. --build-only stops after the build; its
# last line is the path of the binary.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
binary=$root/build/release/perjouled
build_only=no

while [ $# -gt 0 ]; do
  case "$1" in
    --build-only) build_only=yes ;;
    --) shift; break ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown argument \"$1\"; arguments for perjouled come after --" >&2; exit 2 ;;
  esac
  shift
done

"$root/deploy/install-dependencies.sh" build

# The largest source file takes 1 GiB of memory to compile: a small machine builds with fewer jobs instead of swapping.
memory_mib=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
jobs=$((memory_mib / 1024))
[ "$jobs" -le "$(nproc)" ] || jobs=$(nproc)
[ "$jobs" -ge 1 ] || jobs=1

echo "quickstart: building perjouled with $jobs jobs (the first time takes minutes)" >&2
cd "$root"
cmake --preset release >/dev/null
cmake --build build/release --target perjouled --parallel "$jobs" >&2
cd "$OLDPWD"

if [ "$build_only" = yes ]; then
  echo "$binary"
  exit 0
fi

# Its own data and the built-in defaults, not those of an installed service, unless the caller names others.
storage=(--storage.path="$root/.perjoule")
configuration=(--config.file=)
for argument in "$@"; do
  case "$argument" in
    --storage.path | --storage.path=* | --no-storage) storage=() ;;
    --config.file | --config.file=*) configuration=() ;;
  esac
done
exec "$binary" "$@" "${storage[@]}" "${configuration[@]}"
