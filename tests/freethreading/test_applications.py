"""A FastAPI application that changes while it is served: dependencies overridden, routes added, handlers and state set.

Owns: that each answer is one that the application could give before or after a change, whole. Does not own: which changes
end the plans (`tests/plans/test_changes.py`).
"""

from __future__ import annotations

import json
import threading

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from turboapi_rs.testing import LiveServer

from tests.support.wire import Answer, Connection, request_bytes

WORKERS = pytest.mark.parametrize("workers", [1, 2])
CLIENTS = 3
CHANGERS = 2
CHANGES = 25
LOOKS = 3


def ask(connection: Connection, path: str) -> tuple[int, object]:
    answer: Answer = connection.exchange(request_bytes("GET", path))
    assert not answer.is_torn
    return answer.status, json.loads(answer.body)


class Crowd:
    """Threads that change an application, and clients that ask it meanwhile."""

    def __init__(self, at_once, serving: LiveServer) -> None:
        self._at_once, self._serving = at_once, serving

    def run(self, change, look, *, changers: int = CHANGERS, turns: int | None = None) -> None:
        """Call `change(number, turn)` and `look(connection)` again and again.

        With `turns` each changer has so many, and the clients ask until all are done; without, they ask so often, and
        the changers go on until they have.
        """
        lock, left = threading.Lock(), {"changers": changers, "clients": CLIENTS}

        def goes_on(turn: int, limit: int | None, others: str) -> bool:
            return turn < limit if limit is not None else left[others] > 0

        def work(number: int) -> None:
            mine, turn = ("changers" if number < changers else "clients"), 0
            try:
                with Connection(("127.0.0.1", self._serving.port)) as connection:
                    if mine == "changers":
                        while goes_on(turn, turns, "clients"):
                            change(number, turn)
                            # As fast as one asks: it is not to take all time from those.
                            connection.exchange(request_bytes("GET", "/"))
                            turn += 1
                    else:
                        while goes_on(turn, None if turns else LOOKS, "changers"):
                            look(connection)
                            turn += 1
            finally:
                with lock:
                    left[mine] -= 1

        self._at_once(work, changers + CLIENTS)


# ---- Dependencies. ----


def original(q: int) -> str:
    return f"original {q}"


async def original_later(q: int) -> str:
    return f"later {q}"


def original_yield(q: int):
    yield f"yield {q}"


def other(number: int):
    def override() -> str:
        return f"other {number}"

    return override


def overridable() -> tuple[FastAPI, dict[str, object]]:
    """Routes of each form with one dependency each, and the dependency of each path."""
    app = FastAPI(openapi_url=None)
    originals = {"/plain": original, "/later": original_later, "/yield": original_yield}

    def route(path: str, call) -> None:
        @app.get(path)
        def plain(value: str = Depends(call)):
            return {"value": value}

        @app.get(path + "/async")
        async def later(value: str = Depends(call)):
            return {"value": value}

        @app.get(path + "/task")
        async def task(request: Request, value: str = Depends(call)):
            return {"value": value}

    for path, call in originals.items():
        route(path, call)
    return app, originals


FORMS = ["", "/async", "/task"]


@WORKERS
@pytest.mark.parametrize("is_replaced", [False, True], ids=["changed", "replaced"])
def test_overridden_dependency_is_the_old_one_or_the_new_one(at_once, live, workers, is_replaced):
    app, originals = overridable()
    serving = live(app, workers=workers)
    names = {path: call(3) if path == "/plain" else f"{path[1:]} 3" for path, call in originals.items()}
    overrides = [f"other {number}" for number in range(CHANGERS)]

    def change(number: int, turn: int) -> None:
        if is_replaced:
            app.dependency_overrides = {call: other(number) for call in originals.values()} if turn % 2 else {}
            return
        for call in originals.values():
            if turn % 2:
                app.dependency_overrides[call] = other(number)
            else:
                app.dependency_overrides.pop(call, None)

    def look(connection: Connection) -> None:
        for path, name in names.items():
            for form in FORMS:
                status, found = ask(connection, f"{path}{form}?q=3")
                assert (status, found["value"] in [name, *overrides]) == (200, True), (path + form, found)
                # The original asks for `q`, the others do not.
                status, found = ask(connection, path + form)
                if status == 422:
                    assert [error["loc"] for error in found["detail"]] == [["query", "q"]]
                else:
                    assert (status, found["value"] in overrides) == (200, True), (path + form, found)

    for _ in range(2):
        Crowd(at_once, serving).run(change, look)
        with Connection(("127.0.0.1", serving.port)) as connection:
            app.dependency_overrides = {call: other(7) for call in originals.values()}
            for path, form in ((path, form) for path in originals for form in FORMS):
                assert ask(connection, path + form) == (200, {"value": "other 7"})
            app.dependency_overrides.clear()
            for path, form in ((path, form) for path in originals for form in FORMS):
                assert ask(connection, f"{path}{form}?q=3") == (200, {"value": names[path]})
                assert ask(connection, path + form)[0] == 422


# ---- Routes. ----

NOT_FOUND = (404, {"detail": "Not Found"})


def answer(text: str):
    async def endpoint() -> str:
        return text

    return endpoint


@WORKERS
@pytest.mark.parametrize("kind", ["route", "router"])
def test_route_added_while_serving_is_not_found_then_found(at_once, live, workers, kind):
    app = FastAPI(openapi_url=None)
    app.add_api_route("/first", answer("first"))
    app.add_api_route("/first/{name}", answer("named"))
    serving = live(app, workers=workers)
    paths = {f"/added/{number}/{turn}": f"{number} {turn}" for number in range(CHANGERS) for turn in range(CHANGES)}
    waiting = threading.local()

    def change(number: int, turn: int) -> None:
        path, text = f"/added/{number}/{turn}", f"{number} {turn}"
        if kind == "route":
            app.add_api_route(path, answer(text))
        else:
            router = APIRouter(prefix=f"/added/{number}")
            router.add_api_route(f"/{turn}", answer(text))
            app.include_router(router)
        # There once it was added.
        with Connection(("127.0.0.1", serving.port)) as connection:
            assert ask(connection, path) == (200, text)

    def look(connection: Connection) -> None:
        assert ask(connection, "/first") == (200, "first")
        assert ask(connection, "/first/other") == (200, "named")
        assert ask(connection, "/none") == NOT_FOUND
        if not vars(waiting):
            waiting.paths, waiting.found = dict(paths), {}
        for path, text in list(waiting.paths.items())[:3]:
            found = ask(connection, path)
            assert found in ((200, text), NOT_FOUND), path
            if found != NOT_FOUND:
                # What was found is not lost again.
                waiting.found[path] = waiting.paths.pop(path)
        for path, text in list(waiting.found.items())[-2:]:
            assert ask(connection, path) == (200, text)

    Crowd(at_once, serving).run(change, look, turns=CHANGES)
    with Connection(("127.0.0.1", serving.port)) as connection:
        for path, text in paths.items():
            assert ask(connection, path) == (200, text)
        assert ask(connection, "/first") == (200, "first")
        assert ask(connection, "/none") == NOT_FOUND


@WORKERS
def test_route_put_first_while_serving_is_asked_from_then_on(at_once, live, workers):
    """Plans end for good at such a change, on all workers, whoever asks meanwhile."""
    app = FastAPI(openapi_url=None)
    app.add_api_route("/first", answer("old"))
    app.add_api_route("/{name}", answer("named"))
    serving = live(app, workers=workers, log_level="off")
    latest = [0]

    def change(number: int, turn: int) -> None:
        app.router.routes.insert(0, made(turn + 1))
        latest[0] = turn + 1
        with Connection(("127.0.0.1", serving.port)) as connection:
            assert ask(connection, "/first") == (200, f"new {turn + 1}")

    def made(turn: int):
        router = APIRouter()
        router.add_api_route("/first", answer(f"new {turn}"))
        return router.routes[0]

    def look(connection: Connection) -> None:
        at_least = latest[0]
        status, found = ask(connection, "/first")
        assert status == 200
        turn = 0 if found == "old" else int(found.removeprefix("new "))
        assert at_least <= turn <= latest[0] + 1
        assert ask(connection, "/other") == (200, "named")

    Crowd(at_once, serving).run(change, look, changers=1, turns=CHANGES)
    with Connection(("127.0.0.1", serving.port)) as connection:
        assert ask(connection, "/first") == (200, f"new {CHANGES}")


# ---- What is the application's own. ----


@WORKERS
def test_state_of_an_application_is_one_for_all_requests(at_once, live, workers):
    app = FastAPI(openapi_url=None)
    app.state.pair, app.state.count, app.state.lock = (0, 0), 0, threading.Lock()

    @app.get("/pair")
    def pair(request: Request):
        return request.app.state.pair

    @app.get("/pair/async")
    async def pair_later():
        return app.state.pair

    @app.get("/count")
    def count(request: Request):
        with request.app.state.lock:
            request.app.state.count += 1
            setattr(request.app.state, f"seen{request.app.state.count}", True)
        return "counted"

    serving = live(app, workers=workers)
    counted = [0]

    def change(number: int, turn: int) -> None:
        app.state.pair = (turn, turn)
        setattr(app.state, f"name{number}", turn)
        if turn % 2:
            delattr(app.state, f"name{number}")

    def look(connection: Connection) -> None:
        for path in ("/pair", "/pair/async"):
            status, (left, right) = ask(connection, path)
            assert (status, left) == (200, right)
        assert ask(connection, "/count") == (200, "counted")
        with app.state.lock:
            counted[0] += 1

    Crowd(at_once, serving).run(change, look)
    assert app.state.count == counted[0]
    assert all(getattr(app.state, f"seen{number}") for number in range(1, counted[0] + 1))


class Odd(Exception):
    """One that the application has a handler for."""


@WORKERS
def test_handlers_set_while_serving_leave_each_answer_whole(at_once, live, workers):
    """FastAPI reads its handlers when it builds its layers; those that come later are asked after the next start."""
    from fastapi.exception_handlers import http_exception_handler
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    app = FastAPI(openapi_url=None)

    def handler(text: str):
        async def handle(request: Request, error: Exception):
            return JSONResponse({"by": text}, 418)

        return handle

    app.add_exception_handler(Odd, handler("first"))

    @app.get("/odd")
    async def odd():
        raise Odd

    @app.get("/odd/plain")
    def odd_plain():
        raise Odd

    @app.get("/http")
    async def http():
        raise HTTPException(409, "conflict")

    serving = live(app, workers=workers, log_level="off")
    own = (409, {"detail": "conflict"})

    def change(number: int, turn: int) -> None:
        app.add_exception_handler(Odd, handler(f"later {number}"))
        app.add_exception_handler(HTTPException, handler(f"http {number}") if turn % 2 else http_exception_handler)

    def look(connection: Connection) -> None:
        assert ask(connection, "/odd") == (418, {"by": "first"})
        assert ask(connection, "/odd/plain") == (418, {"by": "first"})
        assert ask(connection, "/http") == own
        assert ask(connection, "/none") == NOT_FOUND

    Crowd(at_once, serving).run(change, look)
    serving.stop()


def test_application_is_compiled_and_served_by_many_servers_at_once(at_once):
    app, originals = overridable()

    def serve(number: int) -> list[tuple[int, object]]:
        with LiveServer(app, workers=1 + number % 2) as live, Connection(("127.0.0.1", live.port)) as connection:
            return [ask(connection, f"{path}{form}?q={number}") for path in originals for form in FORMS]

    for number, found in enumerate(at_once(serve, 4)):
        expected = [f"{path[1:] if path != '/plain' else 'original'} {number}" for path in originals]
        assert found == [(200, {"value": name}) for name in expected for _ in FORMS]
