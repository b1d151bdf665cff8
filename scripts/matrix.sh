#!/usr/bin/env bash
# The tests on every interpreter that is to be had: the first one whole, the others all that an interpreter has a part in,
# or a shorter leg.
#
#   scripts/matrix.sh [--short] [VERSION...]     default: 3.13t 3.13 3.14t
#
# --short: all but the first run tests/test_*.py, tests/sse, tests/asgi, tests/parity and tests/freethreading, on one
# driver and with two workers, and only as long as the time allows; none runs the step `isolation` of scripts/test.sh. At the
# end, parity on every FastAPI that is compiled. Prints what was left out and why; the last line is the sum.
#
#   TURBOAPI_MATRIX_SECONDS  after which no further leg is begun (default: no bound)
set -uo pipefail
cd "$(dirname "$0")/.."
is_short=0
if [ "${1:-}" = --short ]; then is_short=1; shift; fi
versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(3.13t 3.13 3.14t)
bound=${TURBOAPI_MATRIX_SECONDS:-1000000}
whole="TURBOAPI_TEST_STEPS=lint rust python isolation fuzz"
whole_again="TURBOAPI_TEST_STEPS=rust-with-python python isolation fuzz-with-python"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
left_out=()

leave_out() {
  left_out+=("$1: $2")
  skipped=$((skipped + 1))
  echo "== $1: left out: $2"
}

# Adds the closing line of one leg; a leg without one has failed.
add_up() {
  local name=$1 code=$2 line
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1)
  if [ -z "$line" ]; then
    failed=$((failed + 1))
    left_out+=("$name: it broke off (exit $code)")
    return
  fi
  read -r p _ f _ s _ <<<"${line//,/}"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# Runs `make test` for one version. Each has a target folder of its own: they would evict each other's build.
leg() {
  local name=$1 version=$2
  shift 2
  echo "== $name"
  env PYTHON_VERSION="$version" "$@" make test 2>&1 </dev/null | tee "$log"
  add_up "$name" "${PIPESTATUS[0]}"
}

first=${versions[0]}
if [ "$is_short" = 1 ]; then
  leg "$first" "$first"
  left_out+=("isolation: parity, applications and the drain in processes, raw and ASGI tests in interpreters: in the whole matrix")
else
  leg "$first" "$first" "$whole"
fi
for version in "${versions[@]:1}"; do
  if [ "$SECONDS" -ge "$bound" ]; then
    leave_out "$version" "the first $SECONDS of $bound seconds are used up"
    continue
  fi
  if ! why=$(bash scripts/python.sh "$version" 2>&1 >/dev/null </dev/null); then
    leave_out "$version" "$(tail -1 <<<"$why")"
    continue
  fi
  options=(CARGO_TARGET_DIR="$PWD/target/py-$version")
  if [ "$is_short" = 0 ]; then
    options+=("$whole_again")
    left_out+=("$version: lint, and Rust tests and fuzz targets without Python: they ran with $first, and are the same")
  else
    options+=(TURBOAPI_TEST_STEPS=python TURBOAPI_TEST_LEGS=auto:2
      TURBOAPI_TEST_PATHS="$(echo tests/test_*.py) tests/sse tests/asgi tests/parity tests/freethreading")
    left_out+=("$version: lint, Rust tests, fuzz targets and other legs: they ran with $first alone")
  fi
  leg "$version" "$version" "${options[@]}"
done

if [ "$SECONDS" -ge "$bound" ]; then
  leave_out "versions of FastAPI" "the first $SECONDS of $bound seconds are used up"
else
  echo "== $first, versions of FastAPI"
  if env PYTHON_VERSION="$first" make parity-versions </dev/null; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
fi

echo
if [ ${#left_out[@]} -gt 0 ]; then
  echo "left out:"
  printf '  %s\n' "${left_out[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
