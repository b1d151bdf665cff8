#!/usr/bin/env bash
# The Python tests in several threads at once, each test in all of them (pytest-run-parallel): what they use of the library
# is made, served, asked and ended by threads that run into each other. Prints how many tests ran so, and how many ran in
# one thread and why; exits non-zero on a failure: scripts/parallel.sh [PATH...]
#
#   PYTHON                     the interpreter of a virtual environment with the extension in it (`make parallel` sets it)
#   TURBOAPI_PARALLEL_THREADS  threads (4)
#   PATH                       what is run: without any, the tests whose servers are in this process. Those that start
#                              processes, or ask uvicorn for its answers in between, would wait for other processes only
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys._is_gil_enabled())'; then
  echo "parallel: skipped: with the GIL threads take turns; this is for a free-threaded build"
  exit 0
fi
paths=("$@")
if [ ${#paths[@]} -eq 0 ]; then
  paths=(tests/test_{json,validate,validate_parameters,dispatch,limits}.py tests/freethreading
    tests/asgi/test_{fastapi,loop,receive,scope,send}.py tests/files/test_{multipart,pathsend,static_files,uploads}.py
    tests/plans/test_{changes,explain,live,schemes,writers}.py tests/sse/test_{edges,events,streams,yield}.py)
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
