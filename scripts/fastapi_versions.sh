#!/usr/bin/env bash
# The referee on every FastAPI that is compiled (`TESTED_FASTAPI` in python/turboapi_rs/plans/routes.py says which): the
# newest patch of each minor version. Those that are installed for other runs are one of them. Prints the referee's reports.
#
#   PYTHON  the interpreter of a virtual environment with the extension and the test requirements in it
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
mapfile -t minors < <("$python" -c '
from turboapi_rs.plans.routes import TESTED_FASTAPI
(major, first), (_, beyond) = TESTED_FASTAPI
print(*(f"{major}.{minor}" for minor in range(first, beyond)), sep="\n")')
[ ${#minors[@]} -gt 0 ] || exit 1
red=()
for minor in "${minors[@]}"; do
  folder=target/fastapi-$minor
  if [ ! -d "$folder/fastapi" ]; then
    "$python" -m pip install -q --disable-pip-version-check --no-deps --target "$folder" "fastapi==$minor.*" || exit 1
  fi
  echo "== FastAPI $(PYTHONPATH=$folder "$python" -c 'import fastapi; print(fastapi.__version__)')"
  PYTHONPATH=$PWD/$folder${PYTHONPATH:+:$PYTHONPATH} "$python" -m tests.parity --least-direct 90 || red+=("$minor")
done
echo "FastAPI: ${#minors[@]} versions, ${#red[@]} red${red[*]:+ (${red[*]})}"
[ ${#red[@]} -eq 0 ]
