#!/usr/bin/env bash
# All tests, in order from cheap to dear. Prints how many ran, how many were skipped and why; exits non-zero on a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
export PYO3_PYTHON
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
passed=0 failed=0 skipped=0
reasons=()

# Runs one step; its counts are read from what it prints.
step() {
  local name=$1 out=$log/out started=$SECONDS code
  shift
  echo "== $name"
  "$@" 2>&1 | tee "$out"
  code=${PIPESTATUS[0]}
  local p f s
  p=$(awk '/^test result:/ {for (i=1;i<=NF;i++) if ($i ~ /^passed/) n+=$(i-1)} / passed/ && !/^test result:/ && match($0, /[0-9]+ passed/) {n+=substr($0,RSTART,RLENGTH)+0} END {print n+0}' "$out")
  f=$(awk '/^test result:/ {for (i=1;i<=NF;i++) if ($i ~ /^failed/) n+=$(i-1)} / failed/ && !/^test result:/ && match($0, /[0-9]+ failed/) {n+=substr($0,RSTART,RLENGTH)+0} END {print n+0}' "$out")
  s=$(awk '/^test result:/ {for (i=1;i<=NF;i++) if ($i ~ /^ignored/) n+=$(i-1)} / skipped/ && !/^test result:/ && match($0, /[0-9]+ skipped/) {n+=substr($0,RSTART,RLENGTH)+0} END {print n+0}' "$out")
  while read -r line; do reasons+=("$name: $line"); done < <(grep -E '^SKIPPED|\.\.\. ignored' "$out")
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  if [ "$code" -eq 0 ] && [ "$p" -eq 0 ]; then p=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  echo "== $name: $p passed, $f failed, $s skipped, $((SECONDS - started)) s"
}

step "lint" bash scripts/lint.sh
step "sans-IO" cargo test -q --no-default-features
step "runtime" cargo test -q --no-default-features --features runtime
step "python, io_uring or epoll, 1 worker" env TURBOAPI_TEST_DRIVER=auto TURBOAPI_TEST_WORKERS=1 "$python" -m pytest
step "python, epoll, 2 workers" env TURBOAPI_TEST_DRIVER=epoll TURBOAPI_TEST_WORKERS=2 "$python" -m pytest -m "not once"
if [ "${TURBOAPI_FUZZ_SECONDS:-5}" -gt 0 ]; then
  step "fuzz smoke" bash scripts/fuzz.sh "${TURBOAPI_FUZZ_SECONDS:-5}"
fi

echo
if [ ${#reasons[@]} -gt 0 ]; then
  echo "skipped:"
  printf '  %s\n' "${reasons[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
