"""Datasette from PyPI, on 100,000 rows, answers under this server as it does under uvicorn; and in a real browser."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess

import httpx
import pytest

from tests.conftest import COMMAND_OPTIONS
from tests.support.children import Child
from tests.support.command import Command

pytest.importorskip("datasette")

ROWS = 100_000
APP = "tests.apps.datasette_app:app"

PAGES = {
    "home": "/",
    "database": "/data",
    "table": "/data/people",
    "table sorted and filtered": "/data/people?_sort_desc=score&age__gt=90&_size=20",
    "table with facets": "/data/people?_facet=city&_size=5",
    "row": "/data/people/77777",
    "JSON": "/data/people.json?_size=100&_shape=objects",
    "JSON of the next page": "/data/people.json?_size=10&_next=99990",
    "JSON of an array": "/data/people.json?_shape=array&_size=3&name__contains=99",
    "SQL": "/data.json?sql=select+city,+count(*)+as+n+from+people+group+by+city&_shape=array",
    "SQL with a parameter": "/data?sql=select+*+from+people+where+id+%3D+%3Aid&id=5",
    "CSV of a page": "/data/people.csv?_size=50",
    "CSV of everything, streamed": "/data/people.csv?_stream=on&_size=max",
    "static file": "/-/static/app.css",
    "wrong SQL": "/data.json?sql=select+nothing+from+nowhere",
    "no such row": "/data/people/0",
    "no such table": "/data/nothing",
    "the database file": "/data.db",
}

VARYING = (
    (re.compile(r"Queries took [0-9.]+ms"), "Queries took #ms"),
    (re.compile(r'"query_ms": [0-9.e-]+'), '"query_ms": #'),
)
"""Times that Datasette measures and prints."""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite file of 100,000 people, the same in every run."""
    path = tmp_path_factory.mktemp("datasette") / "data.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table people (id integer primary key, name text, age int, city text, score real)")
        cities = ("Ålesund", "Bogotá", "Cairo", "Dakar", "東京")
        people = ((i, f"Person {i}", i * 7 % 100, cities[i % 5], i * 37 % 1000 / 8) for i in range(1, ROWS + 1))
        connection.executemany("insert into people values (?, ?, ?, ?, ?)", people)
        connection.execute("create index by_city on people (city)")
    connection.close()
    return path


@pytest.fixture(scope="module")
def ours(database):
    """Datasette under `turboapi run`."""
    with Command(APP, *COMMAND_OPTIONS, env={"TURBOAPI_TEST_DATABASE": str(database)}) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def theirs(database):
    """Datasette under uvicorn."""
    with Child.python("-m", "tests.support.peer", APP, env={"TURBOAPI_TEST_DATABASE": str(database)}) as child:
        yield f"http://127.0.0.1:{child.ready['port']}"


def settled(answer: httpx.Response) -> tuple[int, str, bytes]:
    """Status, type and body, without what varies from one request to the next."""
    content = answer.content
    if answer.headers.get("content-type", "").startswith(("text/html", "application/json")):
        text = content.decode()
        for pattern, constant in VARYING:
            text = pattern.sub(constant, text)
        content = text.encode()
    return answer.status_code, answer.headers.get("content-type", ""), content


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_page_is_as_under_uvicorn(ours, theirs, path):
    # Datasette prints absolute URLs.
    mine, reference = (httpx.get(base + path, headers={"host": "example.org"}, timeout=60) for base in (ours, theirs))
    assert settled(mine) == settled(reference)
    skipped = {"date", "server", "content-length", "transfer-encoding", "connection"}
    assert {k: v for k, v in mine.headers.items() if k not in skipped} == {
        k: v for k, v in reference.headers.items() if k not in skipped
    }


def test_csv_stream_has_every_row(ours):
    with httpx.stream("GET", ours + PAGES["CSV of everything, streamed"], timeout=60) as answer:
        assert answer.headers.get("transfer-encoding") == "chunked"
        lines = sum(chunk.count("\n") for chunk in answer.iter_text())
    assert lines == ROWS + 1


@pytest.mark.once
def test_browser_shows_the_rows(ours, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if browser is None:
        pytest.skip("no Chromium: apt-get install chromium")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run(
        [browser, *flags, ours + "/data/people?_size=25"], capture_output=True, text=True, timeout=100, check=False
    )
    rows = re.findall(r'<td class="col-name[^"]*">\s*(Person \d+)\s*</td>', done.stdout)
    assert rows == [f"Person {i}" for i in range(1, 26)], done.stderr[-2000:]
    assert "東京" in done.stdout
    assert "100,000 rows" in done.stdout
