#!/usr/bin/env bash
# Shows that each fuzz target can fail: applies its deliberate bug (fuzz/mutants/TARGET.patch) to a copy of the tree, and
# runs the target until it finds it, SECONDS at most: scripts/mutants.sh [SECONDS] [TARGET...]
#
#   PYTHON  as for scripts/fuzz.sh
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for patch in fuzz/mutants/*.patch; do targets+=("$(basename "$patch" .patch)"); done
fi
copy=target/mutants
passed=0 failed=0
for target in "${targets[@]}"; do
  # The copy keeps its build from one mutant to the next; only what is in git is copied.
  mkdir -p "$copy"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -pu -t "$copy" 2>/dev/null
  if ! patch -s -p1 -d "$copy" <"fuzz/mutants/$target.patch"; then
    failed=$((failed + 1))
    echo "mutants: $target: the patch does not apply"
    continue
  fi
  if (cd "$copy" && bash scripts/fuzz.sh "$seconds" "$target") >"$copy/$target.log" 2>&1; then
    failed=$((failed + 1))
    echo "mutants: $target: NOT FOUND in $seconds s"
  elif grep -q "does not build" "$copy/$target.log"; then
    failed=$((failed + 1))
    echo "mutants: $target: the mutant does not build"
    tail -20 "$copy/$target.log"
  else
    passed=$((passed + 1))
    echo "mutants: $target: found"
  fi
  patch -s -R -p1 -d "$copy" <"fuzz/mutants/$target.patch"
  rm -rf "$copy/fuzz/artifacts/$target" "$copy/fuzz/corpus/$target"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
