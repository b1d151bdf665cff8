"""Runs FastAPI's tests twice and compares.

    python -m tests.fastapi_suite [--jobs N] [PATHS ...] [-- PYTEST OPTIONS ...]

A module with a failure is run once more, alone, with either: some tests have time limits that do not bear the load of
the others. Exits 1 when a test passes with `FastAPI` and not with `TurboAPI`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from . import sdist

PLUGIN = "turboapi_suite_plugin"

TEST_TIMEOUT_S = 300
"""Seconds for one test. FastAPI's own 20 do not bear a loaded machine: one that fires within a hook ends its worker."""

Results = dict[str, tuple[str, str]]
"""Test → outcome, and why it did not pass."""


def outcomes(app: str, python: Path, source: Path, arguments: Sequence[str], log: Path) -> Results:
    """What came of each test with `app` (`fastapi` or `turboapi`)."""
    shutil.copyfile(Path(__file__).with_name("plugin.py"), source / f"{PLUGIN}.py")
    shutil.copyfile(Path(__file__).with_name("sitecustomize.py"), source / "sitecustomize.py")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "outcomes.json"
        env = {**os.environ, "TURBOAPI_SUITE_APP": app, "TURBOAPI_SUITE_REPORT": str(report), "PYTHONPATH": str(source)}
        command = [str(python), "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-q", "--tb=short"]
        command.append(f"--timeout={TEST_TIMEOUT_S}")
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
        return {name: (outcome, reason) for name, (outcome, reason) in json.loads(report.read_text()).items()}


def summary(results: Results) -> str:
    """Counts of each outcome, in words."""
    counts = Counter(outcome for outcome, _ in results.values())
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def lost(reference: Results, ours: Results) -> list[str]:
    """What passes with the first alone."""
    passed = (name for name, (outcome, _) in reference.items() if outcome == "passed")
    return sorted(name for name in passed if ours.get(name, ("not run", ""))[0] != "passed")


def left_out(reference: Results) -> list[str]:
    """What does not pass with FastAPI either: a line for each module and reason."""
    missed = Counter(
        (name.partition("::")[0], outcome, reason)
        for name, (outcome, reason) in reference.items()
        if outcome != "passed"
    )
    return [
        f"{module}: {count} {outcome}: {reason[:160]}" for (module, outcome, reason), count in sorted(missed.items())
    ]


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
    jobs = ["-n", str(options.jobs)] if options.jobs and "pytest-xdist[psutil]" not in missing else []
    results = {}
    for app in ("fastapi", "turboapi"):
        log, started = source / f"{app}.log", time.monotonic()
        found = outcomes(app, python, source, [*jobs, *options.paths, *extra], log)
        failed = sorted(name for name, (outcome, _) in found.items() if outcome in ("failed", "not collected"))
        if failed:
            # Whole modules, in their own order: some tests rest on those before them.
            modules = sorted({name.partition("::")[0] for name in failed})
            again = outcomes(app, python, source, [*modules, *extra], source / f"{app}-again.log")
            found.update({name: again[name] for name in failed if name in again})
        results[app] = found
        print(f"{app}: {summary(found)} in {time.monotonic() - started:.0f} s ({log})", flush=True)
    for line in left_out(results["fastapi"]):
        print(f"  does not pass with FastAPI: {line}")
    only_reference = lost(results["fastapi"], results["turboapi"])
    for name in only_reference:
        print(f"  passes with FastAPI only: {name}: {': '.join(results['turboapi'].get(name, ('not run', '')))}")
    only_ours = lost(results["turboapi"], results["fastapi"])
    for name in only_ours:
        print(f"  passes with TurboAPI only: {name}: {': '.join(results['fastapi'].get(name, ('not run', '')))}")
    print(f"{len(only_reference)} lost, {len(only_ours)} gained")
    return 1 if only_reference else 0


if __name__ == "__main__":
    sys.exit(main())
