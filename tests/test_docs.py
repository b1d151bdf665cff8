"""Pages of documentation whose examples run, and examples that are served."""

from __future__ import annotations

import doctest
import json
import re
import sys
from pathlib import Path

import pytest

from tests.support.command import REPO, Command
from tests.support.wire import Connection, request_bytes

pytestmark = pytest.mark.once

BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["docs/python.md"])
def test_examples_of_a_page_run_in_one_session(page):
    text = (REPO / page).read_text()
    blocks = [(text.count("\n", 0, found.start(1)), found[1]) for found in BLOCK.finditer(text)]
    assert blocks, "a page without examples"
    names = {"__name__": "__main__"}
    for line, block in blocks:
        test = doctest.DocTestParser().get_doctest(block, names, page, page, line)
        said: list[str] = []
        runner = doctest.DocTestRunner()
        runner.run(test, out=said.append, clear_globs=False)
        names = test.globs
        assert runner.failures == 0, "".join(said)


def test_links_of_the_pages_lead_somewhere():
    for page in [REPO / "README.md", REPO / "CONTRIBUTING.md", *(REPO / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("how", ["turboapi run", "script"])
@pytest.mark.parametrize(
    ("example", "asks"),
    [
        (
            "hello:app",
            [
                ("GET", "/", None, 200, {"message": "Hello World"}),
                ("GET", "/items/7?q=x", None, 200, {"item_id": 7, "q": "x"}),
                ("POST", "/items", {"name": "cup", "price": 2.5}, 200, {"name": "cup", "price": 2.5, "tags": []}),
                ("POST", "/items", {"name": "", "price": 2.5}, 422, None),
                ("POST", "/upload", {"a": 1}, 200, {"size": 8}),
                ("GET", "/download/3", None, 200, 3 * 65536),
            ],
        ),
        (
            "raw:server",
            [
                ("GET", "/", None, 200, {"message": "Hello World"}),
                ("GET", "/items/7?q=x", None, 200, {"item_id": 7, "q": "x"}),
                ("GET", "/items/x", None, 422, None),
                ("POST", "/echo", {"a": 1}, 200, {"a": 1}),
                ("GET", "/count/3", None, 200, 6),
                ("GET", "/health", None, 200, 2),
            ],
        ),
    ],
)
def test_example_answers_as_it_says(example, asks, how, tmp_path):
    if how == "turboapi run":
        command = Command(f"examples.{example}", "--workers", "1")
    else:
        # Examples listen on the usual port when they are run: here on any.
        name, _, attribute = example.partition(":")
        source = Path(REPO, "examples", f"{name}.py").read_text()
        assert f"\n    {attribute}.run()\n" in source
        (tmp_path / f"{name}.py").write_text(source.replace(".run()", ".run(port=0, workers=1)"))
        command = Command(place=(), program=(sys.executable, str(tmp_path / f"{name}.py")))
    with command as serving:
        for method, target, sent, status, expected in asks:
            body = None if sent is None else json.dumps(sent).encode()
            fields = () if sent is None else (("content-type", "application/json"),)
            with Connection(serving.address) as connection:
                answer = connection.exchange(request_bytes(method, target, headers=fields, body=body), method)
            assert answer.status == status, (target, answer)
            if isinstance(expected, int):
                assert len(answer.body) == expected
            elif expected is not None:
                assert json.loads(answer.body) == expected
        assert serving.end() == 0
