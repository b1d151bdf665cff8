#!/usr/bin/env bash
# Formatting, lints, layers, unsafe blocks. Each check names itself when it fails.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
export PYO3_PYTHON PYO3_BUILD_EXTENSION_MODULE=1
failed=0
check() {
  local name=$1
  shift
  if "$@" >/tmp/lint.$$ 2>&1; then echo "lint: $name: ok"; else
    failed=$((failed + 1))
    echo "lint: $name: FAILED"
    tail -40 /tmp/lint.$$
  fi
  rm -f /tmp/lint.$$
}
check rustfmt cargo fmt --all --check
check "clippy, no features" cargo clippy -q --no-default-features --all-targets -- -D warnings
check "clippy, all" cargo clippy -q --workspace --lib -- -D warnings
check layers "$python" scripts/check_layers.py
check unsafe "$python" scripts/check_unsafe.py
check ruff "$python" -m ruff check .
check "ruff format" "$python" -m ruff format --check .
exit $failed
