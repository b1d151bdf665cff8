"""The package itself: names passed on, settings, documentation that runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
import turboapi_rs
from turboapi_rs import ConfigError, ServerConfig
from turboapi_rs.config import parse_size

pytestmark = pytest.mark.once

OURS = {
    "cli",
    "config",
    "extensions",
    "server",
    "app",
    "testing",
    "guest_loop",
    "loading",
    "supervised",
    "supervisor",
    "__main__",
    "_core",
    "plans",
    "sse",
}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(turboapi_rs.__path__, "turboapi_rs.")
    if module.name.split(".")[1] not in {"__main__", "_core"}
]


@pytest.mark.parametrize("name", turboapi_rs.__all__)
def test_every_name_is_there(name):
    assert getattr(turboapi_rs, name) is not None


def test_names_of_others_are_theirs():
    import fastapi
    import pydantic

    assert turboapi_rs.Depends is fastapi.Depends
    assert turboapi_rs.BaseModel is pydantic.BaseModel
    assert issubclass(turboapi_rs.TurboAPI, fastapi.FastAPI)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_imported_and_its_examples_run(name):
    module = importlib.import_module(name)
    if name.split(".")[1] in OURS:
        failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert failed == 0


def test_the_package_has_examples_that_run():
    assert doctest.testmod(turboapi_rs).failed == 0


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        turboapi_rs.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"workers": -1}, "workers: -1"),
        ({"workers": 1.5}, "workers: 1.5"),
        ({"workers": True}, "workers: True"),
        ({"port": 65536}, "port: 65536"),
        ({"driver": "x"}, "driver: 'x' is not one of auto, uring, epoll"),
        ({"gil": "maybe"}, "gil: 'maybe'"),
        ({"isolation": "containers"}, "isolation: .containers."),
        ({"max_requests": 5}, "max_requests: workers are replaced with isolation .processes. alone"),
        ({"max_age": -1, "isolation": "processes"}, "max_age: -1"),
        ({"head_timeout": 0}, "head_timeout: 0"),
        ({"max_body": -5}, "max_body: -5"),
        ({"uds": "a", "fd": 3}, "uds and fd exclude each other"),
        ({"root_path": "api"}, "root_path: 'api'"),
        ({"colour": "red"}, "colour: no such setting"),
    ],
)
def test_wrong_setting_is_named(settings, says):
    with pytest.raises(ConfigError, match=says):
        ServerConfig.of(**settings)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("10", 10), ("1KB", 1000), ("1 KiB", 1024), ("2mib", 2097152), ("1G", 10**9)]
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "1.5MB", "-1", "1TB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError):
        parse_size(text)
