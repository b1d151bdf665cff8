#!/usr/bin/env bash
# Shows that each fuzz target can fail: applies its deliberate bug (fuzz/mutants/TARGET.patch) to a copy of the tree, and
# runs the target, from its seeds alone, until it finds it, SECONDS at most: scripts/mutants.sh [SECONDS] [TARGET...]
# Prints a table. A target without a mutant, and a patch that does not apply, fail as well.
#
#   PYTHON  as for scripts/fuzz.sh
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^turboapi-fuzz$')
fi
# The copy keeps its build from one mutant to the next, which is then of one crate; only what is in git is copied.
copy=target/mutants
mkdir -p "$copy"
passed=0 failed=0
table=$(mktemp)
trap 'rm -f "$table"' EXIT
for target in "${targets[@]}"; do
  patch=fuzz/mutants/$target.patch
  outcome=
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -pu -t "$copy" 2>/dev/null
  rm -rf "$copy/fuzz/artifacts/$target" "$copy/fuzz/corpus/$target"
  if [ ! -e "$patch" ]; then
    outcome="has no mutant"
  elif ! patch -s -p1 --dry-run -d "$copy" <"$patch" >/dev/null; then
    outcome="the patch does not apply"
  else
    mapfile -t changed < <(sed -n 's#^+++ b/##p' "$patch")
    patch -s -p1 -d "$copy" <"$patch"
    if (cd "$copy" && bash scripts/fuzz.sh "$seconds" "$target") >"$copy/$target.log" 2>&1; then
      outcome="NOT FOUND in $seconds s"
    elif grep -q "does not build" "$copy/$target.log"; then
      outcome="does not build"
      tail -20 "$copy/$target.log"
    elif [ -n "$(ls -A "$copy/fuzz/artifacts/$target" 2>/dev/null)" ]; then
      found=$(grep -oE 'FAILED after [0-9]+ s' "$copy/$target.log" | grep -oE '[0-9]+')
      passed=$((passed + 1))
    else
      outcome="ended without a crash"
      tail -20 "$copy/$target.log"
    fi
    # As they are, and newer than what was built of the mutant.
    for file in "${changed[@]}"; do cp "$file" "$copy/$file"; done
  fi
  if [ -n "$outcome" ]; then failed=$((failed + 1)); fi
  printf '%-24s %-24s %s\n' "$target" "${outcome:-found in $found s}" "$(head -1 "$patch" 2>/dev/null)" | tee -a "$table"
done
echo
sort "$table"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
