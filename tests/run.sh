#!/usr/bin/env bash
# Runs every check of the project, as CI does. The last line is "N passed, N failed"; exit 1 if anything failed.
#
#   tests/run.sh [--quick]     --quick: only the dev build and its tests
#
# All stages run, also after one has failed. A stage counts the tests of ctest; a stage without ctest counts as one
# test. JOBS=n sets the number of parallel jobs (default 2: compiling one file for a sanitizer takes more than 1 GB).
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
jobs=${JOBS:-2}
quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "run.sh: unknown argument \"$1\"" >&2; exit 2 ;;
esac

# Without absolute paths in the key, a second checkout of the same sources uses the first one's objects.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
export CTEST_OUTPUT_ON_FAILURE=1
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

passed_total=0
failed_total=0
table=""

# The counts of the current stage; a stage that leaves them empty counts as one test.
passed=""
failed=""
skipped=""

# CPU seconds, user and system, of all commands that have ended: cutime and cstime of proc_pid_stat(5), in ticks.
cpu_seconds() {
  awk -v ticks="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($14 + $15) / ticks) }' /proc/$$/stat
}

stage() {
  local name=$1 begin=$SECONDS cpu status
  cpu=$(cpu_seconds)
  shift
  passed="" failed="" skipped=0
  echo
  echo "==== $name"
  "$@" </dev/null
  status=$?
  if [ -z "$passed" ]; then
    passed=0 failed=0
    if [ $status -eq 0 ]; then passed=1; else failed=1; fi
  elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
  fi
  passed_total=$((passed_total + passed))
  failed_total=$((failed_total + failed))
  table+=$(printf '%-10s %6d s %6d s CPU %6d passed %4d failed %4d skipped' \
    "$name" $((SECONDS - begin)) $(($(cpu_seconds) - cpu)) "$passed" "$failed" "$skipped")$'\n'
}

# build PRESET [TARGETS...]
build() {
  local preset=$1 quiet=()
  shift
  [ -t 1 ] || quiet=(--quiet)
  cmake --preset "$preset" >"build/$preset.configure" 2>&1 || { cat "build/$preset.configure"; return 1; }
  ninja -C "build/$preset" -j "$jobs" "${quiet[@]}" "$@"
}

# run_ctest PRESET ARGUMENTS...: a run without any test is a failure.
run_ctest() {
  local preset=$1 report status
  shift
  report=$PWD/build/$preset/report.xml
  rm -f "$report"
  ctest --test-dir "build/$preset" --no-tests=error --output-junit "$report" -j "$jobs" "$@"
  status=$?
  [ -f "$report" ] || return 1
  local tests
  tests=$(count "$report" tests) failed=$(count "$report" failures) skipped=$(count "$report" skipped)
  skipped=$((skipped + $(count "$report" disabled)))
  passed=$((tests - failed - skipped))
  return $status
}

# count REPORT NAME: the attribute NAME of the whole suite, which comes first in the report.
count() { grep -oE "\b$2=\"[0-9]+\"" "$1" | head -n 1 | grep -oE '[0-9]+'; }

dev() { build dev && run_ctest dev -LE e2e; }
end_to_end() { run_ctest dev -L e2e; }

# sanitized PRESET TESTS: builds and runs the tests whose names match the pattern TESTS.
sanitized() {
  local preset=$1 tests=$2 targets
  cmake --preset "$preset" >"build/$preset.configure" 2>&1 || { cat "build/$preset.configure"; return 1; }
  targets=$(ninja -C "build/$preset" -t targets all | sed -nE "s/^($tests): phony\$/\1/p")
  # shellcheck disable=SC2086
  [ -n "$targets" ] && build "$preset" $targets && run_ctest "$preset" -R "^($tests)\$"
}

format() {
  if ! command -v clang-format-14 >/dev/null; then
    echo "skipped: other versions of clang-format than Debian 12's 14 format differently"
    passed=0 failed=0 skipped=1
    return 0
  fi
  find config collectors storage daemon tests -name '*.[ch]pp' -print0 | xargs -0 clang-format-14 --dry-run --Werror
}
tidy() { tests/tidy.py --jobs "$jobs"; }
scripts() {
  find . -path ./build -prune -o \( -name '*.sh' -o -path './.ci/run' -o -path './deploy/debian/p*m' -o \
    -path './deploy/debian/p*inst' \) -print0 | xargs -0 shellcheck
}
documents() { tests/documents.py; }

mkdir -p build
stage install deploy/install-dependencies.sh test
stage dev dev
if [ "$quick" = no ]; then
  stage asan sanitized asan 'unit_[a-z]+|simulation'
  # The other tests run a single thread, in which there is no data race to find.
  stage tsan sanitized tsan 'unit_storage|unit_daemon'
  stage format format
  stage tidy tidy
  stage scripts scripts
  stage documents documents
  stage e2e end_to_end
fi

echo
printf '%s' "$table"
echo "total $((SECONDS / 60)) min $((SECONDS % 60)) s, $(($(cpu_seconds) / 60)) min of CPU"
echo "$passed_total passed, $failed_total failed"
[ "$failed_total" -eq 0 ]
