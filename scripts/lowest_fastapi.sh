#!/usr/bin/env bash
# The referee on the lowest FastAPI that is compiled (`TESTED_FASTAPI` in python/turboapi_rs/plans/routes.py says which);
# every other run has the newest. Prints the referee's own report.
#
#   PYTHON    the interpreter of a virtual environment with the extension and the test requirements in it
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
lowest=$("$python" -c '
from turboapi_rs.plans.routes import TESTED_FASTAPI
print(".".join(map(str, TESTED_FASTAPI[0])) + ".0")')
folder=target/fastapi-$lowest
if [ ! -d "$folder/fastapi" ]; then
  "$python" -m pip install -q --disable-pip-version-check --no-deps --target "$folder" "fastapi==$lowest"
fi
echo "FastAPI $lowest"
PYTHONPATH=$PWD/$folder${PYTHONPATH:+:$PYTHONPATH} "$python" -m tests.parity --least-direct 90
