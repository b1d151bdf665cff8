"""Runs the referee from a shell.

    python -m tests.parity                       # judge every case, print what is red
    python -m tests.parity --write PARITY.md     # and write the table
    python -m tests.parity --ours uvicorn        # try the referee itself: uvicorn against uvicorn
    python -m tests.parity --ours turboapi-processes   # isolation processes; TURBOAPI_TEST_WORKERS=2 says how many
    python -m tests.parity --only 'cors'         # cases whose id contains a text

Exits 1 when any case is red, or too few are direct.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .host import SERVERS
from .referee import APP_BY_APP, all_cases, app_by_app, judge, sides
from .report import markdown


def main() -> int:
    """Judges, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__.split("\n")[0])
    parser.add_argument("--reference", choices=SERVERS, default="uvicorn")
    parser.add_argument("--ours", choices=SERVERS, default="turboapi")
    parser.add_argument("--only", default="", metavar="TEXT", help="judge only cases whose id contains TEXT")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Markdown table to FILE")
    parser.add_argument("--least-direct", type=float, default=0.0, metavar="PERCENT", help="fail below that share")
    parser.add_argument("--reasons", action="store_true", help="print why each asgi case is not direct")
    options = parser.parse_args()

    cases = [case for case in all_cases() if options.only in case.id]
    if not cases:
        parser.error(f"no case contains {options.only!r}")
    in_order = app_by_app(cases) if APP_BY_APP & {options.reference, options.ours} else cases
    started = time.monotonic()
    with sides(cases, options.reference, options.ours) as (reference, ours):
        judged = {case.id: judge(case, reference, ours) for case in in_order}
    verdicts = [judged[case.id] for case in cases]
    for verdict in verdicts:
        if verdict.is_red:
            print(f"RED {verdict.case.id}\n    {verdict.fault or 'is the same, but listed as different'}")
        if options.reasons and verdict.reason:
            print(f"asgi {verdict.case.id}: {verdict.reason}")
    red = sum(verdict.is_red for verdict in verdicts)
    direct = sum(verdict.served == "direct" for verdict in verdicts)
    print(
        f"{len(verdicts)} cases, {red} red, {direct} direct; {reference.about['server']} against "
        f"{ours.about['server']}; {time.monotonic() - started:.1f} s"
    )
    if options.write:
        options.write.write_text(markdown(verdicts, reference.about["server"]))
    return 1 if red or 100 * direct < options.least_direct * len(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
