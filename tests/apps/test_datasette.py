"""Datasette, unmodified, with a SQLite file of 100,000 rows: the pages answer as under uvicorn, and a browser shows them."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest
from datasette.app import Datasette

from tests.support.peers import uvicorn_serving

ROWS = 100_000
PAGES = [
    "/",
    "/big",
    "/big/rows",
    "/big/rows?_sort_desc=n&_size=20",
    "/big/rows/77",
    "/big/rows.json?_size=5",
    "/big.json?sql=select+count(*)+from+rows",
    "/big/rows.csv?_stream=on&_size=max",
    "/absent",
    "/-/static/app.css",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("datasette") / "big.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table rows (id integer primary key, name text, n real)")
        connection.executemany(
            "insert into rows values (?, ?, ?)", ((number, f"name {number}", number * 1.5) for number in range(ROWS))
        )
    return path


def application(database: Path):
    return Datasette([str(database)], settings={"max_csv_mb": 0, "allow_csv_stream": True}).app()


def steady(text: str) -> str:
    """A page without what differs from one request to the next."""
    text = re.sub(r'"query_ms": [\d.]+', "", text)
    return re.sub(r"Queries took [\d.]+ms|\b[\d.]+ms\b|127\.0\.0\.1:\d+", "", text)


def test_pages_answer_as_under_uvicorn(live, database):
    server = live(application(database))
    with (
        uvicorn_serving(application(database)) as peer,
        httpx.Client(base_url=peer, timeout=120) as theirs,
        httpx.Client(base_url=server.url, timeout=120) as ours,
    ):
        for page in PAGES:
            expected, got = theirs.get(page), ours.get(page)
            assert got.status_code == expected.status_code, page
            assert got.headers.get("content-type") == expected.headers.get("content-type"), page
            assert steady(got.text) == steady(expected.text), page
            if ".csv" in page:
                assert got.text.count("\n") == ROWS + 1


@pytest.mark.once
def test_browser_shows_the_rows(live, database, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-headless-shell") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    server = live(application(database))
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
        f"{server.url}/big/rows",
    ]
    page = subprocess.run(command, capture_output=True, text=True, timeout=100).stdout
    assert "100,000 rows" in page
    assert 'class="col-name type-str">name 99</td>' in page or "name 99" in page
