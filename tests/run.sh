#!/usr/bin/env bash
# Every check of the project, as CI runs it. The last line is "N passed, N failed"; exit 1 when anything failed.
#
#   tests/run.sh [--quick]     --quick: the dev build with its tests, and nothing else
#
# All stages run, also after one failed. A stage counts the tests that ctest counted; one without ctest counts as one.
# JOBS=n changes the number of parallel jobs (default 2: a unit under a sanitizer takes more than a gigabyte).
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

# A second checkout of the same sources finds the first one's objects.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
export CTEST_OUTPUT_ON_FAILURE=1
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

passed_total=0
failed_total=0
table=""

# What the stage that runs now counted; a stage that sets nothing counts as one test.
passed=""
failed=""
skipped=""

stage() {
  local name=$1 begin=$SECONDS status
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
  table+=$(printf '%-10s %6d s %6d passed %4d failed %4d skipped' \
    "$name" $((SECONDS - begin)) "$passed" "$failed" "$skipped")$'\n'
}

# build PRESET [TARGETS...]
build() {
  local preset=$1 quiet=()
  shift
  [ -t 1 ] || quiet=(--quiet)
  cmake --preset "$preset" >"build/$preset.configure" 2>&1 || { cat "build/$preset.configure"; return 1; }
  ninja -C "build/$preset" -j "$jobs" "${quiet[@]}" "$@"
}

# run_ctest PRESET ARGUMENTS...: no test at all is a failure, for then nothing was shown.
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

# The first attribute of that name is the suite's.
count() { grep -oE "\b$2=\"[0-9]+\"" "$1" | head -n 1 | grep -oE '[0-9]+'; }

dev() { build dev && run_ctest dev -LE e2e; }
end_to_end() { run_ctest dev -L e2e; }

# sanitized PRESET TESTS: builds those tests, by a pattern of their names, and runs them.
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
  # The others run one thread: the thread sanitizer has nothing to find there.
  stage tsan sanitized tsan 'unit_storage|unit_daemon'
  stage format format
  stage tidy tidy
  stage scripts scripts
  stage documents documents
  stage e2e end_to_end
fi

echo
printf '%s' "$table"
echo "total $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed_total passed, $failed_total failed"
[ "$failed_total" -eq 0 ]
