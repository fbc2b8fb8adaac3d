#!/usr/bin/env bash
# needs: clang with libFuzzer (libclang-rt-dev); one to three hours for ten million executions of each target
# Builds every target in tests/fuzz with libFuzzer and AddressSanitizer and executes it RUNS times, starting from its
# seeds. Arguments: names of the targets to run; default: all. Inputs that crash a target are kept in build/fuzz/NAME/.
#
# A target is one .cpp file. Comment lines in it are read by this script: "// sources: FILES" and "// libraries: FLAGS"
# list what to link (tests/fuzz/promql.cpp is an example); "// length: N" is the largest input in bytes, default 256;
# with "// seeds: itself" the target is first called with --seeds DIRECTORY, and its LLVMFuzzerInitialize fills that
# directory and ends. NAME.seeds (one input per line) and NAME.dict (libFuzzer's dictionary) may lie beside it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
readonly runs=${RUNS:-10000000} compiler=${CXX:-clang++}
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
