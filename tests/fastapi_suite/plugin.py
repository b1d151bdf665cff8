"""A pytest plugin, copied beside FastAPI's tests: notes every outcome, and why a test did not pass.

It stands alone: FastAPI's tests are a package called `tests`, and ours must not be imported before it.
Reads `TURBOAPI_SUITE_REPORT`: a file for the outcomes, as JSON.
"""

import json
import os
from pathlib import Path

OUTCOMES = {}


def note(report, outcome):
    """One test, or one module that cannot be collected."""
    OUTCOMES[report.nodeid] = [outcome, "" if outcome == "passed" else reason(report)]


def reason(report):
    """The first line of what went wrong, or of why it was skipped."""
    told = report.longrepr
    if isinstance(told, tuple):
        told = told[-1]
    elif crash := getattr(told, "reprcrash", None):
        told = crash.message
    return str(told).strip().partition("\n")[0]


def pytest_runtest_logreport(report):
    """A test is failed when any of its phases is."""
    if (report.when == "call" or report.outcome != "passed") and OUTCOMES.get(report.nodeid, [""])[0] != "failed":
        note(report, report.outcome)


def pytest_collectreport(report):
    """A module that cannot be collected is one failure."""
    if report.failed:
        note(report, "not collected")


def pytest_sessionfinish(session):
    """Writes what was noted; only the controlling process has all of it."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["TURBOAPI_SUITE_REPORT"]).write_text(json.dumps(OUTCOMES))
