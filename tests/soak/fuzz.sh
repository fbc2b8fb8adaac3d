#!/usr/bin/env bash
# needs: clang-14 with libFuzzer (libclang-rt-14-dev); one to three hours for ten million executions of each target
# Every target in tests/fuzz, built with libFuzzer and AddressSanitizer, runs RUNS times from its seeds. NAME... are the
# targets to run; all without. What one crashes on stays in build/fuzz/NAME/.
#
# A target is one file that says what it is linked from, as tests/fuzz/promql.cpp does. Beside it may lie NAME.seeds, an
# input per line, and NAME.dict, libFuzzer's dictionary. A target with a line "// seeds: itself" is called with --seeds
# DIRECTORY first, which its LLVMFuzzerInitialize fills, and ends. "// length: N" is the largest input; else 256.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
readonly runs=${RUNS:-10000000} compiler=${CXX:-clang++-14}
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16}
launcher=$(command -v ccache || true)

build() { # NAME
  local name=$1 out=build/fuzz/$1 source object sources objects=() flags=()
  mkdir -p "$out/objects"
  flags=(-std=c++20 -O2 -g1 -DNDEBUG -I. -fno-omit-frame-pointer -fno-math-errno -Wno-unused-command-line-argument)
  # shellcheck disable=SC2046 # the patterns are words
  mapfile -t sources < <(ls $(sed -n 's|^// sources: ||p' "tests/fuzz/$name.cpp") "tests/fuzz/$name.cpp")
  for source in "${sources[@]}"; do
    object=$out/objects/$(tr / _ <<<"$source").o
    $launcher "$compiler" "${flags[@]}" -fsanitize=fuzzer-no-link,address -c "$source" -o "$object"
    objects+=("$object")
  done
  # shellcheck disable=SC2046 # as above
  "$compiler" -fsanitize=fuzzer,address "${objects[@]}" -o "$out/target" \
    $(sed -n 's|^// libraries: ||p' "tests/fuzz/$name.cpp")
}

seed() { # NAME
  local out=build/fuzz/$1/corpus number=0 line
  rm -rf "$out"
  mkdir -p "$out"
  if [ -e "tests/fuzz/$1.seeds" ]; then
    while IFS= read -r line; do
      number=$((number + 1))
      printf '%s' "$line" >"$out/seed-$number"
    done <"tests/fuzz/$1.seeds"
  fi
  if grep -q '^// seeds: itself' "tests/fuzz/$1.cpp"; then "build/fuzz/$1/target" --seeds "$out"; fi
}

fuzz() { # NAME
  local out=build/fuzz/$1 options=() length
  length=${LENGTH:-$(sed -n 's|^// length: ||p' "tests/fuzz/$1.cpp")}
  [ -e "tests/fuzz/$1.dict" ] && options+=("-dict=tests/fuzz/$1.dict")
  "$out/target" "$out/corpus" -runs="$runs" -artifact_prefix="$out/" -max_len="${length:-256}" -timeout=10 \
    -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 "${options[@]}"
}

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(find tests/fuzz -name '*.cpp' -printf '%f\n' | sed 's/\.cpp$//' | sort)
for name in "${names[@]}"; do
  build "$name"
  seed "$name"
  echo "fuzz.sh: $name, $runs executions"
  begin=$SECONDS
  fuzz "$name"
  echo "fuzz.sh: $name, no report after $((SECONDS - begin)) s"
done
