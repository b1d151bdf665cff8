"""A pytest plugin, copied beside FastAPI's tests: puts TurboAPI in FastAPI's place, and notes every outcome.

It stands alone: FastAPI's tests are a package called `tests`, and ours must not be imported before it.
Reads `TURBOAPI_SUITE_APP` (`fastapi` or `turboapi`) and `TURBOAPI_SUITE_REPORT` (a file for the outcomes, as JSON).
"""

import json
import os
from pathlib import Path

OUTCOMES = {}


def substitute():
    """`from fastapi import FastAPI` gives TurboAPI from now on."""
    import fastapi
    import fastapi.applications
    from turboapi_rs import TurboAPI

    fastapi.FastAPI = TurboAPI
    fastapi.applications.FastAPI = TurboAPI


if os.environ.get("TURBOAPI_SUITE_APP") == "turboapi":
    substitute()


def pytest_runtest_logreport(report):
    """A test is failed when any of its phases is."""
    if (report.when == "call" or report.outcome != "passed") and OUTCOMES.get(report.nodeid) != "failed":
        OUTCOMES[report.nodeid] = report.outcome


def pytest_collectreport(report):
    """A module that cannot be collected is one failure."""
    if report.failed:
        OUTCOMES[report.nodeid] = "not collected"


def pytest_sessionfinish(session):
    """Writes what was noted; only the controlling process has all of it."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["TURBOAPI_SUITE_REPORT"]).write_text(json.dumps(OUTCOMES))
