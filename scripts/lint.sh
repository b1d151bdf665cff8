#!/usr/bin/env bash
# Formatting, lints, layers, unsafe blocks. Each check names itself when it fails.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
export PYO3_PYTHON
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
check() {
  local name=$1
  shift
  if "$@" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "lint: $name: ok"
  else
    failed=$((failed + 1))
    echo "lint: $name: FAILED"
    tail -60 "$log"
  fi
}
check layers "$python" scripts/check_layers.py
check unsafe "$python" scripts/check_unsafe.py
check ruff "$python" -m ruff check .
check "ruff format" "$python" -m ruff format --check .
# The stubs against the extension as it was built. Without one there is nothing to compare with.
if PYTHONPATH=python "$python" -c 'import turboapi_rs._core' 2>/dev/null; then
  check stubs env PYTHONPATH=python MYPY_CACHE_DIR=target/mypy "$python" -m mypy.stubtest turboapi_rs._core \
    --ignore-disjoint-bases --allowlist scripts/stubs.allow
else
  echo "lint: stubs: not checked, the extension is not built"
fi
check rustfmt cargo fmt --all --check
check "clippy, sans-IO" cargo clippy -q --no-default-features --all-targets -- -D warnings
check "clippy, runtime" cargo clippy -q --no-default-features --features runtime --lib --examples -- -D warnings
check "clippy, models" cargo clippy -q --no-default-features --features models --test models -- -D warnings
check "clippy, all" cargo clippy -q --workspace --all-targets -- -D warnings
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
