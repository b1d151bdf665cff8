"""Event streams as real clients read them: httpx-sse, Chromium's EventSource, the npm `eventsource`; and the examples."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import shutil
import subprocess
import threading

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from turboapi_rs.sse import EventSourceResponse, ServerSentEvent, last_event_id

from tests.conftest import DRIVER
from tests.support.command import Command

pytestmark = pytest.mark.once

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "turboapi" / "npm"

PAGE = """<!doctype html><title>events</title><script>
const log = [];
const source = new EventSource("/events");
const note = (kind) => (event) => log.push([kind, event.data, event.lastEventId]);
source.onopen = () => log.push(["open"]);
source.onmessage = note("message");
source.addEventListener("named", note("named"));
source.addEventListener("bye", (event) => {
  note("bye")(event);
  source.close();
  fetch("/report", {method: "POST", body: JSON.stringify(log)});
});
</script>"""

NODE = """
const eventsource = require("eventsource");
const EventSource = eventsource.EventSource || eventsource;
const log = [];
const source = new EventSource(process.argv[2]);
const note = (kind) => (event) => log.push([kind, event.data, event.lastEventId]);
source.onopen = () => log.push(["open"]);
source.onmessage = note("message");
source.addEventListener("named", note("named"));
source.addEventListener("bye", (event) => {
  note("bye")(event);
  source.close();
  console.log(JSON.stringify(log));
});
"""

#: What a client that follows the standard makes of `make_app`: it comes back once, with the id it saw last.
EXPECTED = [
    ["open"],
    ["message", "plain", ""],
    ["message", "two\nlines", "1"],
    ["named", '{"n":2}', "2"],
    ["open"],
    ["message", "back with 2", "2"],
    ["bye", "", "2"],
]


def make_app():
    app = FastAPI()
    app.state.reports, app.state.reported, app.state.seen = [], threading.Event(), []

    async def first():
        yield "plain"
        yield ServerSentEvent(comment="nothing to see", retry=10)
        yield ServerSentEvent(raw_data="two\r\nlines", id="1")
        yield ServerSentEvent(event="named", data={"n": 2}, id="2")

    async def second(seen):
        yield f"back with {seen}"
        yield ServerSentEvent(event="bye", raw_data="")
        # The client closes.
        await asyncio.sleep(3600)

    @app.get("/events")
    async def events(request: Request):
        seen = last_event_id(request)
        app.state.seen.append(seen)
        return EventSourceResponse(second(seen) if seen else first())

    @app.get("/", response_class=HTMLResponse)
    async def page():
        return PAGE

    @app.post("/report")
    async def report(request: Request):
        app.state.reports.append(json.loads(await request.body()))
        app.state.reported.set()

    return app


def test_httpx_sse_reads_events(live):
    sse = pytest.importorskip("httpx_sse")
    url = live(make_app()).url + "/events"
    with httpx.Client(timeout=20) as client, sse.connect_sse(client, "GET", url) as source:
        events = [(event.event, event.data, event.id, event.retry) for event in source.iter_sse()]
    assert [event[:3] for event in events if event[1]] == [
        ("message", "plain", ""), ("message", "two\nlines", "1"), ("named", '{"n":2}', "2")]  # fmt: skip
    assert 10 in [event[3] for event in events]


def test_chromium_follows_names_ids_retry_and_closes(live, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if browser is None:
        pytest.skip("no Chromium: apt-get install chromium")
    app = make_app()
    server = live(app)
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}",
        "--remote-debugging-port=0",
    ]  # fmt: skip
    with subprocess.Popen(
        [browser, *flags, server.url + "/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            assert app.state.reported.wait(100)
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
    assert app.state.reports == [EXPECTED]
    assert app.state.seen == [None, "2"]


def test_npm_eventsource_follows_names_ids_retry_and_closes(live):
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node or no npm: apt-get install nodejs npm")
    if not (CACHE / "node_modules" / "eventsource").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [
            npm,
            "install",
            "--prefix",
            str(CACHE),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "eventsource@2",
        ]
        # npm trusts its own list of authorities; what the system trusts is said as OpenSSL is told.
        trusted = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        environment = {"NODE_EXTRA_CA_CERTS": trusted, **os.environ} if pathlib.Path(trusted).is_file() else None
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment)
        if done.returncode:
            pytest.skip(f"npm cannot install eventsource: {done.stderr[-300:]}")
    app = make_app()
    url = live(app).url + "/events"
    done = subprocess.run([node, "-e", NODE.replace("argv[2]", "argv[1]"), url], cwd=CACHE, capture_output=True, text=True,
                          timeout=100, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    # This client fires events without data away too, and repeats the last id on them; what it told is the same.
    assert json.loads(done.stdout) == EXPECTED
    assert app.state.seen == [None, "2"]


def test_examples_of_tokens_and_of_their_proxy():
    ask = {"model": "fake", "messages": [{"role": "user", "content": "Hello there"}]}
    with (
        Command("examples.tokens:app", "--driver", DRIVER) as upstream,
        Command(
            "examples.token_proxy:app", "--driver", DRIVER, env={"UPSTREAM": f"http://127.0.0.1:{upstream.port}"}
        ) as proxy,
    ):
        for port in (upstream.port, proxy.port):
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=ask, timeout=30)
            lines = answer.text.split("\n\n")
            assert lines[-2:] == ["data: [DONE]", ""]
            chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
            text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
            assert text == "You said: Hello there "
        whole = httpx.post(
            f"http://127.0.0.1:{upstream.port}/v1/chat/completions", json={**ask, "stream": False}, timeout=30
        )
        assert whole.json()["choices"][0]["message"]["content"] == "You said: Hello there "
        wrong = httpx.post(f"http://127.0.0.1:{proxy.port}/v1/chat/completions", json={}, timeout=30)
        assert wrong.status_code == 422
