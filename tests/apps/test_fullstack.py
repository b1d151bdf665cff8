"""`examples/fullstack` under uvicorn and under `turboapi run`: one scenario, the same answers."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import COMMAND_OPTIONS
from tests.support.children import Child
from tests.support.command import Command

from . import fullstack_scenario as scenario

APP = "examples.fullstack.main:app"
LEAST_REQUESTS = 100


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The application under `turboapi run`."""
    env = {**scenario.ENVIRONMENT, "FULLSTACK_FOLDER": str(tmp_path_factory.mktemp("ours"))}
    with Command(APP, *COMMAND_OPTIONS, env=env) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The application under uvicorn."""
    env = {**scenario.ENVIRONMENT, "FULLSTACK_FOLDER": str(tmp_path_factory.mktemp("theirs"))}
    with Child.python("-m", "tests.support.peer", APP, env=env) as child:
        yield f"http://127.0.0.1:{child.ready['port']}"


def test_scenario_has_the_same_answers_as_under_uvicorn(ours, theirs):
    reference, mine = scenario.run(theirs), scenario.run(ours)
    assert len(mine) == len(reference) >= LEAST_REQUESTS
    for expected, found in zip(reference, mine, strict=True):
        assert found == expected
    # Nothing was compared in vain: errors of every kind, and answers of every kind.
    assert {seen.status for seen in mine} >= {
        200,
        201,
        202,
        204,
        206,
        304,
        307,
        400,
        401,
        403,
        404,
        405,
        409,
        413,
        416,
        422,
        500,
    }


@pytest.mark.once
def test_browser_shows_the_docs(ours, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if browser is None:
        pytest.skip("no Chromium: apt-get install chromium")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run([browser, *flags, f"{ours}/docs"], capture_output=True, text=True, timeout=100, check=False)
    # The page's own script comes from elsewhere, which a test does not need.
    assert "<title>Full stack - Swagger UI</title>" in done.stdout, done.stderr[-2000:]
    assert "swagger-ui" in done.stdout
