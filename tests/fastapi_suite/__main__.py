"""Runs FastAPI's tests twice and compares.

    python -m tests.fastapi_suite [--jobs N] [PATHS ...] [-- PYTEST OPTIONS ...]

Exits 1 when a test that passes with `FastAPI` does not pass with `TurboAPI`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from . import sdist

PLUGIN = "turboapi_suite_plugin"


def outcomes(app: str, python: Path, source: Path, arguments: Sequence[str], log: Path) -> dict[str, str]:
    """What came of each test with `app` (`fastapi` or `turboapi`)."""
    shutil.copyfile(Path(__file__).with_name("plugin.py"), source / f"{PLUGIN}.py")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "outcomes.json"
        env = {**os.environ, "TURBOAPI_SUITE_APP": app, "TURBOAPI_SUITE_REPORT": str(report), "PYTHONPATH": str(source)}
        command = [str(python), "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-q", "--tb=short"]
        with log.open("w") as out:
            subprocess.run(
                [*command, "--continue-on-collection-errors", *arguments],
                cwd=source,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if not report.exists():
            raise RuntimeError(f"pytest ended without a report:\n{log.read_text()[-4000:]}")
        return json.loads(report.read_text())


def summary(results: dict[str, str]) -> str:
    """Counts of each outcome, in words."""
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(results.values()).items()))


def lost(reference: dict[str, str], ours: dict[str, str]) -> list[str]:
    """What passes with FastAPI alone."""
    return sorted(name for name, outcome in reference.items() if outcome == "passed" != ours.get(name))


def main(argv: Sequence[str] | None = None) -> int:
    """Downloads, runs, compares, prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.fastapi_suite", description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", default=["tests"], help="tests to run, below FastAPI's source")
    parser.add_argument("--jobs", type=int, default=2, help="processes (pytest-xdist); 0: none")
    given = list(sys.argv[1:] if argv is None else argv)
    split = given.index("--") if "--" in given else len(given)
    options, extra = parser.parse_args(given[:split]), given[split + 1 :]

    source = sdist.source()
    python, missing = sdist.environment()
    if missing:
        print(f"not to be had on this interpreter, so what needs them fails on both sides: {', '.join(missing)}")
    jobs = ["-n", str(options.jobs)] if options.jobs and "pytest-xdist" not in missing else []
    results = {}
    for app in ("fastapi", "turboapi"):
        log = source / f"{app}.log"
        results[app] = outcomes(app, python, source, [*jobs, *options.paths, *extra], log)
        print(f"{app}: {summary(results[app])} ({log})", flush=True)
    only_reference = lost(results["fastapi"], results["turboapi"])
    only_ours = lost(results["turboapi"], results["fastapi"])
    for name in only_reference:
        print(f"  passes with FastAPI only: {name}: {results['turboapi'].get(name, 'not run')}")
    for name in only_ours:
        print(f"  passes with TurboAPI only: {name}: {results['fastapi'].get(name, 'not run')}")
    print(f"{len(only_reference)} lost, {len(only_ours)} gained")
    return 1 if only_reference else 0


if __name__ == "__main__":
    sys.exit(main())
