#!/usr/bin/env bash
# The Python tests in several threads at once, each test in all of them (pytest-run-parallel): what they use of the library
# is made, served, asked and ended by threads that run into each other. Prints how many tests ran so, and how many ran in
# one thread and why; exits non-zero on a failure: scripts/parallel.sh [PATH...]
#
#   PYTHON                     the interpreter of a virtual environment with the extension in it (`make parallel` sets it)
#   TURBOAPI_PARALLEL_THREADS  threads (4)
#   PATH                       what is run (all tests whose servers are in this process)
#
# What cannot be run in several threads has its reason in ALONE of tests/conftest.py.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys._is_gil_enabled())'; then
  echo "parallel: skipped: with the GIL threads take turns; this is for a free-threaded build"
  exit 0
fi
paths=("$@")
if [ ${#paths[@]} -eq 0 ]; then
  paths=(tests)
  # Their servers are other processes, whose threads are as many as ever: what would run together here only waits for them.
  # Examples of documents are run one by one (doctest replaces what there is one of in a process).
  for other in test_{cli,dead_workers,docs,gil,package,processes}.py apps/test_{datasette,django,fullstack}.py \
    fastapi_suite middleware/test_served.py parity soak sse/test_{many,slow_reader}.py; do
    paths+=(--ignore="tests/$other")
  done
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$python" -m pytest -o addopts="-ra --strict-markers --import-mode=importlib" -vv --timeout 300 \
  --parallel-threads="${TURBOAPI_PARALLEL_THREADS:-4}" "${paths[@]}" 2>&1 </dev/null | tee "$log" |
  grep -vE '^tests/.* (PARALLEL )?(PASSED|SKIPPED)'
code=${PIPESTATUS[0]}
together=$(grep -cE '^tests/.* PARALLEL (PASSED|FAILED)' "$log")
alone=$(grep -cE '^tests/.*\] (PASSED|FAILED)|^tests/.*[^L] (PASSED|FAILED)' "$log")
echo "parallel: $together tests ran in ${TURBOAPI_PARALLEL_THREADS:-4} threads at once, $alone in one"
[ "$code" -eq 0 ]
