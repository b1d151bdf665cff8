"""`dependency_overrides` of an application that serves, in whatever way they are written.

A compiled route does not read the attribute at each request: the interpreter says when it is bound anew.
"""

import subprocess
import sys
from collections import UserDict
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from tests.support.wire import request_bytes

NAME = "dependency_overrides"


def own() -> str:
    return "own"


def other() -> str:
    return "other"


def overridable(kind: type[FastAPI] = FastAPI) -> FastAPI:
    app = kind(openapi_url=None)

    @app.get("/")
    async def root(value: Annotated[str, Depends(own)]) -> str:
        return value

    return app


def joined(app: FastAPI) -> None:
    app.dependency_overrides |= {own: other}


def replaced_twice(app: FastAPI) -> None:
    app.dependency_overrides = {}
    app.dependency_overrides[own] = other


def deleted(app: FastAPI) -> None:
    del app.dependency_overrides
    app.dependency_overrides = {own: other}


def put_by_an_equal_name(app: FastAPI) -> None:
    vars(app)["".join(["dependency", "_overrides"])] = {own: other}


kept: list[dict[str, Any]] = []


def given_another_dict(app: FastAPI) -> None:
    app.__dict__ = {**vars(app), NAME: {own: other}}


def given_another_dict_beside_the_first(app: FastAPI) -> None:
    kept.append(vars(app))
    given_another_dict(app)


WAYS = {
    "item": lambda app: app.dependency_overrides.__setitem__(own, other),
    "update": lambda app: app.dependency_overrides.update({own: other}),
    "setdefault": lambda app: app.dependency_overrides.setdefault(own, other),
    "joined": joined,
    "bound": lambda app: setattr(app, NAME, {own: other}),
    "bound to a mapping": lambda app: setattr(app, NAME, UserDict({own: other})),
    "bound twice": replaced_twice,
    "deleted": deleted,
    "in vars": lambda app: vars(app).update({NAME: {own: other}}),
    "by an equal name": put_by_an_equal_name,
    "another dict": given_another_dict,
    "another dict beside the first": given_another_dict_beside_the_first,
}


@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)
def test_override_is_seen_however_it_is_written(live, connect, write):
    app = overridable()
    connection = connect(live(app))
    for _ in range(2):
        assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
        write(app)
        assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'
        app.dependency_overrides.clear()
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'


def test_other_attributes_of_an_application_are_no_matter(live, connect):
    app = overridable()
    connection = connect(live(app))
    for number in range(3):
        app.state.number = number
        app.title = str(number)
        app.number = number
        assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    app.dependency_overrides[own] = other
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'


class Property(FastAPI):
    """Its overrides are no attribute of its own."""

    kept: dict[Any, Any] = {}

    @property
    def dependency_overrides(self) -> dict[Any, Any]:
        return self.kept

    @dependency_overrides.setter
    def dependency_overrides(self, value: dict[Any, Any]) -> None:
        type(self).kept = value


class Looked(FastAPI):
    """Its attributes are what it says."""

    is_overridden = False

    def __getattribute__(self, name: str) -> Any:
        if name == NAME and type(self).is_overridden:
            return {own: other}
        return super().__getattribute__(name)


def test_overrides_of_a_class_that_has_them_otherwise(live, connect):
    class Kept(Property):
        pass

    app = overridable(Kept)
    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    Kept.kept = {own: other}
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'
    Kept.kept = {}
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'


def test_overrides_of_an_application_that_says_itself_what_they_are(live, connect, monkeypatch):
    app = overridable(Looked)
    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    monkeypatch.setattr(Looked, "is_overridden", True)
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'


def test_overrides_of_an_application_whose_class_is_another_one_now(live, connect, monkeypatch):
    app = overridable()
    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    monkeypatch.setattr(Looked, "is_overridden", True)
    app.__class__ = Looked
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'


def test_overrides_that_are_no_plain_dict(live, connect):
    class Hesitant(dict[Any, Any]):
        is_true = False

        def __bool__(self) -> bool:
            return self.is_true

    app = overridable()
    app.dependency_overrides = Hesitant({own: other})
    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    Hesitant.is_true = True
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'


def test_applications_that_serve_at_once_have_overrides_of_their_own(live, connect):
    first, second = overridable(), overridable()
    one, two = connect(live(first)), connect(live(second))
    first.dependency_overrides = {own: other}
    assert one.exchange(request_bytes("GET", "/")).body == b'"other"'
    assert two.exchange(request_bytes("GET", "/")).body == b'"own"'


WITHOUT_WATCHERS = """
import ctypes, http.client
from fastapi import Depends, FastAPI
from turboapi_rs.testing import LiveServer

callback = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.py_object] * 3)
kept = callback(lambda *told: 0)
add = ctypes.pythonapi.PyDict_AddWatcher
add.argtypes = [callback]
try:
    while True:
        add(kept)
except RuntimeError:
    pass

app = FastAPI()

def own():
    return "own"

@app.get("/")
async def root(value: str = Depends(own)):
    return value

with LiveServer(app) as server:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for overrides in ({}, {own: lambda: "other"}, {}):
        app.dependency_overrides = overrides
        connection.request("GET", "/")
        print(connection.getresponse().read().decode())
"""


def test_interpreter_that_has_no_watcher_to_spare():
    command = [sys.executable, "-c", WITHOUT_WATCHERS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ['"own"', '"other"', '"own"']), done.stderr
