#!/usr/bin/env bash
# All tests, in order from cheap to dear. Prints how many ran, how many were skipped and why; exits non-zero on a failure.
#
#   PYTHON                 the interpreter of a virtual environment with the extension in it (`make test` sets it)
#   TURBOAPI_TEST_LEGS     driver:workers pairs that the Python tests run with; the first one runs all of them, the
#                          others leave out what is marked `once`
#   TURBOAPI_TEST_PATHS    what the Python tests are run on (default: all of them)
#   TURBOAPI_FUZZ_SECONDS  for each fuzz target; 0: none
#   TURBOAPI_TEST_STEPS    lint rust python isolation fuzz: what to run (default: all but isolation, which the whole matrix
#                          adds: parity and tests of applications that a string names once more in processes, and those
#                          of raw and plain ASGI applications in interpreters of their own, on the drivers of the legs); rust-with-python, fuzz-with-python: of these two, what holds an
#                          interpreter
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
legs=${TURBOAPI_TEST_LEGS:-uring:1 epoll:2}
fuzz_seconds=${TURBOAPI_FUZZ_SECONDS:-5}
read -ra paths <<<"${TURBOAPI_TEST_PATHS:-}"
steps=" ${TURBOAPI_TEST_STEPS:-lint rust python fuzz} "
PYO3_PYTHON=$("$python" -c 'import sys; print(sys.executable)')
export PYO3_PYTHON
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
passed=0 failed=0 skipped=0
reasons=()

# Adds up `N WORD` over the closing lines of the runners: cargo's, pytest's, and the plain one.
count() {
  grep -E '^test result: |^(=+ )?[0-9]+ [a-z]+.* in [0-9.]+s|^[0-9]+ passed, [0-9]+ failed' "$log/out" |
    grep -oE "\b[0-9]+ ($1)" | awk '{ n += $1 } END { print n + 0 }'
}

# Runs one step. One without counts of its own counts as one test.
step() {
  local name=$1 started=$SECONDS code p f s
  shift
  echo "== $name"
  "$@" 2>&1 </dev/null | tee "$log/out"
  code=${PIPESTATUS[0]}
  p=$(count passed) f=$(count 'failed|errors?') s=$(count 'skipped|ignored|xfailed')
  if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  if [ "$code" -eq 0 ] && [ $((p + s)) -eq 0 ]; then p=1; fi
  while read -r line; do reasons+=("$name: $line"); done < <(grep -E '^SKIPPED|^XFAIL|\.\.\. ignored' "$log/out")
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  echo "== $name: $p passed, $f failed, $s skipped, $((SECONDS - started)) s"
}

skip() {
  skipped=$((skipped + 1))
  reasons+=("$1: $2")
  echo "== $1: skipped: $2"
}

# A kernel or a sandbox may refuse io_uring: then its legs are skipped, and say so.
try_driver() {
  "$python" -c '
import sys
from turboapi_rs import Server
from turboapi_rs.testing import LiveServer
with LiveServer(Server(), driver=sys.argv[1]):
    pass' "$1"
}

wants() { [[ $steps == *" $1 "* ]]; }

starts() {
  local refusal
  refusal=$(try_driver "$1" 2>&1) && return 0
  skip "$2" "the driver does not start here: $(tail -1 <<<"$refusal")"
  return 1
}

if wants lint; then step "lint" bash scripts/lint.sh; fi

if wants rust; then
  step "rust, sans-IO" cargo test -q --no-default-features
  step "rust, models of the concurrent pieces" bash scripts/models.sh --quick
  # From here on the library checks its own invariants.
  step "rust, runtime" cargo test -q --no-default-features --features runtime,invariants
fi
if wants rust || wants rust-with-python; then
  # The interpreter is embedded: its libraries and its home are not where a program of its own would look.
  step "rust, with Python" env \
    LD_LIBRARY_PATH="$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')" \
    PYTHONHOME="$("$python" -c 'import sys; print(sys.base_prefix)')" cargo test -q --lib --features invariants
fi

if wants python; then
  only=()
  for leg in $legs; do
    driver=${leg%:*} workers=${leg#*:}
    name="python, driver $driver, workers $workers"
    starts "$driver" "$name" || continue
    step "$name" env TURBOAPI_TEST_DRIVER="$driver" TURBOAPI_TEST_WORKERS="$workers" "$python" -m pytest "${only[@]}" "${paths[@]}"
    only=(-m "not once")
  done
fi

# Two workers each, whatever the leg has: with one the isolations differ in nothing that a client could see.
if wants isolation; then
  for leg in $legs; do
    driver=${leg%:*}
    starts "$driver" "isolation, driver $driver" || continue
    leg=(TURBOAPI_TEST_DRIVER="$driver" TURBOAPI_TEST_WORKERS=2 "$python" -m pytest -m "not once")
    step "isolation processes, driver $driver" env TURBOAPI_TEST_ISOLATION=processes "${leg[@]}" \
      tests/parity/test_parity.py tests/apps/test_{datasette,django,fullstack}.py tests/asgi/test_drain.py tests/test_shutdown.py
    # In three processes: CPython keeps some 10 MiB of each interpreter that has ended, and a test takes two or more.
    leg=(env TURBOAPI_TEST_ISOLATION=interpreters "${leg[@]}" -m "not once and not in_memory")
    step "isolation interpreters, driver $driver, raw" "${leg[@]}" tests/test_{shutdown,dispatch,limits,bad_input}.py
    step "isolation interpreters, driver $driver, ASGI" "${leg[@]}" \
      tests/asgi/test_{scope,send,receive,receivers,faults,concurrency,loop}.py
    step "isolation interpreters, driver $driver, files" "${leg[@]}" tests/files
  done
fi

if [ "$fuzz_seconds" -gt 0 ]; then
  if wants fuzz; then step "fuzz, $fuzz_seconds s each" bash scripts/fuzz.sh "$fuzz_seconds"; fi
  if wants fuzz-with-python; then
    step "fuzz with Python, $fuzz_seconds s each" bash scripts/fuzz.sh "$fuzz_seconds" --with-python
  fi
fi

echo
echo "$((passed + failed)) tests ran, $skipped were skipped${reasons:+:}"
if [ ${#reasons[@]} -gt 0 ]; then printf '  %s\n' "${reasons[@]}"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
