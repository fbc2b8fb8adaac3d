#!/usr/bin/env bash
# The long runs: every executable in tests/soak/, in the order of their names. The last line is "N passed, N failed".
#
# They are not part of tests/run.sh: each takes minutes to hours. The line "# needs: ..." of a script names what it
# requires; its output is kept in build/soak/NAME.log. To run some of them: tests/soak.sh NAME...
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  mapfile -t names < <(find tests/soak -maxdepth 1 -type f -executable -printf '%f\n' 2>/dev/null | LC_ALL=C sort)
fi
[ ${#names[@]} -gt 0 ] || echo "tests/soak has no executable script: nothing was tested"

passed=0
failed=0
mkdir -p build/soak
for name in "${names[@]}"; do
  script=tests/soak/$name
  needs=$(sed -n 's/^# needs: //p' "$script" 2>/dev/null | head -n 1)
  echo "==== $name; needs: ${needs:-nothing special}"
  begin=$SECONDS
  if "$script" </dev/null 2>&1 | tee "build/soak/$name.log"; then
    passed=$((passed + 1))
    verdict=passed
  else
    failed=$((failed + 1))
    verdict=FAILED
  fi
  echo "---- $name $verdict after $((SECONDS - begin)) s"
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
