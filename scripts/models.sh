#!/usr/bin/env bash
# Runs the models of the concurrent pieces, then shows that they can fail: applies each deliberate bug of
# tests/models/mutants to a copy of the tree, which a model must find. Prints a table; exits non-zero when a model fails, a
# mutant survives, or a patch does not apply: scripts/models.sh [--quick] [MUTANT...]
#
#   --quick              the models alone, without mutants
#   LOOM_MAX_PREEMPTIONS how often a thread is cut off where it could go on, in one order (2; 3 takes a model of four
#                        threads many minutes)
set -uo pipefail
cd "$(dirname "$0")/.."
is_quick=
if [ "${1:-}" = --quick ]; then
  is_quick=1
  shift
fi
run() { cargo test -q --no-default-features --features models --test models; }

# Pieces that are listed nowhere have no model, nor a reason for having none.
unlisted=0
while read -r file; do
  if ! grep -qF "\`$file\`" tests/models/README.md; then
    unlisted=$((unlisted + 1))
    echo "models: src/$file has atomics, locks or wakers and is not listed in tests/models/README.md"
  fi
done < <(grep -rlE '\b(Atomic(Bool|U8|U32|U64|I64|Usize)|Mutex|RwLock|Condvar|ArcSwap|OnceLock|impl Wake)\b' src --include='*.rs' |
  sed 's#^src/##' | sort)
[ "$unlisted" -eq 0 ] || exit 1

if [ -n "$is_quick" ]; then
  run
  exit
fi
if ! run; then
  echo "models: FAILED"
  exit 1
fi

mutants=("$@")
if [ ${#mutants[@]} -eq 0 ]; then
  mapfile -t mutants < <(find tests/models/mutants -name '*.patch' -printf '%f\n' | sed 's/\.patch$//' | sort)
fi
# The copy keeps its build from one mutant to the next; only what is in git is copied.
copy=target/model-mutants
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -pu -t "$copy" 2>/dev/null
passed=0 failed=0
for mutant in "${mutants[@]}"; do
  patch=tests/models/mutants/$mutant.patch
  outcome=
  if ! patch -s -p1 --dry-run -d "$copy" <"$patch" >/dev/null; then
    outcome="the patch does not apply"
  else
    mapfile -t changed < <(sed -n 's#^+++ b/##p' "$patch")
    patch -s -p1 -d "$copy" <"$patch"
    # A mutant may loop for ever in some order: that is found as well.
    if (cd "$copy" && CARGO_TARGET_DIR=build RUST_BACKTRACE=0 timeout 300 cargo test \
      --no-default-features --features models --test models) >"$copy/$mutant.log" 2>&1; then
      outcome="SURVIVED"
    elif ! grep -q '^test .*FAILED$' "$copy/$mutant.log"; then
      outcome="does not build, or does not end"
      tail -20 "$copy/$mutant.log"
    fi
    # As they are, and newer than what was built of the mutant.
    for file in "${changed[@]}"; do cp "$file" "$copy/$file"; done
  fi
  if [ -n "$outcome" ]; then
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
    outcome="found by $(sed -nE 's/^test model_(.*) \.\.\. FAILED$/\1/p' "$copy/$mutant.log" | head -1)"
  fi
  printf '%-22s %s\n%22s %s\n' "$mutant" "$outcome" "" "$(head -1 "$patch")"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
