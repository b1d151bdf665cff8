"""Lifespan: on, off, auto; refused, failed; its state."""

from __future__ import annotations

import asyncio
import textwrap

import pytest
from turboapi_rs import StartupError
from turboapi_rs.lifespan import Lifespan

from tests.asgi.apps import Seen, answer
from tests.support.command import turboapi
from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


def app_with(seen, *, on_startup=None, on_shutdown=None, ignores=False):
    """An app that notes its lifespan and answers what its scope's state holds."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            state = scope.get("state")
            if state is not None:
                state["own"] = state.get("own", 0) + 1
            return await answer(send, repr(None if state is None else sorted(state.items())).encode())
        seen.put("lifespan")
        if ignores:
            raise RuntimeError("lifespan is not supported")
        message = await receive()
        seen.put(message["type"])
        scope["state"]["by"] = "lifespan"
        if on_startup:
            await on_startup(send)
        await send({"type": "lifespan.startup.complete"})
        message = await receive()
        seen.put(message["type"])
        if on_shutdown:
            await on_shutdown(send)
        await send({"type": "lifespan.shutdown.complete"})
        return None

    return app


async def fails(send):
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def raises(send):
    raise ValueError("no database")


def test_startup_comes_before_and_shutdown_after_all_requests(live, connect):
    seen = Seen()
    server = live(app_with(seen))
    assert [seen.next(), seen.next()] == ["lifespan", "lifespan.startup"]
    assert connect(server).exchange(GET).status == 200
    assert seen.empty()
    server.stop()
    assert seen.next() == "lifespan.shutdown"
    assert seen.empty()


def test_state_is_copied_to_each_request(live, connect):
    connection = connect(live(app_with(Seen())))
    for _ in range(2):
        assert connection.exchange(GET).body == b"[('by', 'lifespan'), ('own', 1)]"


def test_off_never_calls_it(live, connect):
    seen = Seen()
    server = live(app_with(seen), lifespan="off")
    assert connect(server).exchange(GET).body == b"None"
    server.stop()
    assert seen.empty()


def test_auto_goes_on_when_the_app_refuses(live, connect):
    seen = Seen()
    server = live(app_with(seen, ignores=True), lifespan="auto")
    assert seen.next() == "lifespan"
    assert connect(server).exchange(GET).status == 200
    server.stop()
    assert seen.empty()


def test_on_does_not_start_when_the_app_refuses(live):
    with pytest.raises(StartupError):
        live(app_with(Seen(), ignores=True), lifespan="on")


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_failed_startup_is_raised_with_its_message(live, mode):
    with pytest.raises(StartupError, match="no database"):
        live(app_with(Seen(), on_startup=fails), lifespan=mode)


def test_loops_per_worker_run_a_lifespan_each(live, connect):
    seen = Seen()
    server = live(app_with(seen), loops="per-worker", workers=2)
    assert sorted(seen.next() for _ in range(4)) == ["lifespan"] * 2 + ["lifespan.startup"] * 2
    assert connect(server).exchange(GET).status == 200
    server.stop()
    assert [seen.next(), seen.next()] == ["lifespan.shutdown"] * 2
    assert seen.empty()


def test_failed_shutdown_ends_all_the_same(live, connect):
    server = live(app_with(Seen(), on_shutdown=raises))
    assert connect(server).exchange(GET).status == 200
    server.stop()


def test_start_that_is_cancelled_before_its_first_step_ends():
    """Nothing of a task runs that is cancelled before its first step: one worker's failed start left another one waiting."""
    seen = Seen()

    async def start_and_end():
        lifespan = Lifespan(app_with(seen), "auto", {})
        starting = asyncio.ensure_future(lifespan.startup())
        await asyncio.sleep(0)
        await asyncio.wait_for(lifespan.shutdown(), 10)
        await asyncio.wait_for(starting, 10)

    asyncio.run(start_and_end())
    assert seen.empty()


FAILING = """
    async def app(scope, receive, send):
        assert scope["type"] == "lifespan", "nothing may be served"
        await receive()
        {how}
"""


@pytest.mark.parametrize(
    "how",
    [
        'await send({"type": "lifespan.startup.failed", "message": "no database"})',
        'import fastapi\n        raise RuntimeError("no database")',
    ],
    ids=["failed", "raised"],
)
def test_command_line_exits_3_with_the_message(tmp_path, how):
    (tmp_path / "failing.py").write_text(textwrap.dedent(FAILING).format(how=how.replace("\n        ", "\n    ")))
    done = turboapi("run", "failing:app", "--port", "0", "--lifespan", "on", folder=tmp_path)
    assert (done.returncode, "no database" in done.stderr) == (3, True), done
