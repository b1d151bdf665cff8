"""A child process that serves every parity app, each on a port of its own, under one kind of server.

    python -m tests.parity.host uvicorn first_steps query_params cors:strict

Prints one JSON line, `{"ports": {app: port}, "about": {...}}`, then answers questions on stdin, one line each:
`served APP METHOD PATH` is how the server would run that request, `{"kind": ..., "reason": ...}`; `port APP` is the port of
an app that the first line does not name. Ends when stdin ends.

Rule: one process a kind of server. FastAPI takes a second to import and is imported once; but for `turboapi-processes`,
whose every app has processes of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from ..support.command import Command

APPS = "tests.parity.apps"


def app_and_config(name: str) -> tuple[Any, dict[str, Any]]:
    """The app called `name`, and the server settings that its module asks for in `SERVER`."""
    module_name, _, attribute = name.partition(":")
    module = importlib.import_module(f"{APPS}.{module_name}")
    config = getattr(module, "SERVER", {})
    return getattr(module, attribute or "app"), config.get(attribute or "app", {})


def processes_for(name: str, wanted: int) -> int:
    """How many processes may share the app: `PROCESSES` of its module, where one request reads what another one wrote."""
    module = importlib.import_module(f"{APPS}.{name.partition(':')[0]}")
    return min(wanted, getattr(module, "PROCESSES", wanted))


def listening_socket() -> socket.socket:
    """A socket on a free port of the loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def answer_questions(served: Any, port: Any = None) -> None:
    """Answers lines of stdin until it ends."""
    for line in sys.stdin:
        question, *about = line.rstrip("\n").split(" ", 3)
        print(json.dumps(port(*about) if question == "port" else served(*about)), flush=True)


def say_ready(ports: dict[str, int], about: dict[str, Any]) -> None:
    """The one line that the parent waits for."""
    print(json.dumps({"ports": ports, "about": about}), flush=True)


def serve_on_uvicorn(names: list[str]) -> None:
    """Every app under uvicorn, in one event loop."""
    import uvicorn

    class Quiet(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    async def main() -> None:
        servers, sockets = [], []
        for name in names:
            app, config = app_and_config(name)
            sockets.append(listening_socket())
            servers.append(Quiet(uvicorn.Config(app, log_level="critical", access_log=False, **config)))
        tasks = [asyncio.create_task(s.serve(sockets=[k])) for s, k in zip(servers, sockets, strict=True)]
        while not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        ports = {name: sock.getsockname()[1] for name, sock in zip(names, sockets, strict=True)}
        say_ready(ports, {"server": f"uvicorn {uvicorn.__version__}"})
        await asyncio.to_thread(answer_questions, lambda *_: {"kind": "asgi", "reason": "uvicorn"})
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)

    asyncio.run(main())


def serve_on_granian(names: list[str]) -> None:
    """Every app under granian's embedded ASGI server: a second peer, to try the referee itself."""
    import granian
    from granian.server.embed import Server

    async def main() -> None:
        servers, ports = [], {}
        for name in names:
            app, config = app_and_config(name)
            with contextlib.closing(listening_socket()) as sock:
                ports[name] = sock.getsockname()[1]
            prefix = config.get("root_path") or None
            servers.append(Server(app, port=ports[name], interface="asgi", url_path_prefix=prefix, log_enabled=False))
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        for port in ports.values():
            await until_listening(port)
        say_ready(ports, {"server": f"granian {granian.__version__}"})
        await asyncio.to_thread(answer_questions, lambda *_: {"kind": "asgi", "reason": "granian"})
        for server in servers:
            server.stop()
        await asyncio.gather(*tasks)

    asyncio.run(main())


async def until_listening(port: int) -> None:
    """Returns when something accepts connections on `port`."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def serve_on_turboapi(names: list[str]) -> None:
    """Every app under the server of this project."""
    import turboapi_rs
    from turboapi_rs.testing import LiveServer

    from .served import Routes

    settings: dict[str, Any] = {"driver": os.environ.get("TURBOAPI_TEST_DRIVER", "auto")}
    settings["workers"] = int(os.environ.get("TURBOAPI_TEST_WORKERS", "1"))
    ports, routes = {}, {}
    with contextlib.ExitStack() as stack:
        for name in names:
            app, config = app_and_config(name)
            server = stack.enter_context(LiveServer(app, **settings, **config))
            ports[name] = int(server.url.rsplit(":", 1)[1].strip("/"))
            routes[name] = Routes(app)
        say_ready(ports, {"server": f"turboapi_rs {turboapi_rs.__version__}", **settings})
        answer_questions(lambda app, method, path: routes[app].served(method, path))


def serve_on_turboapi_processes(names: list[str]) -> None:
    """Every app under `turboapi run --isolation processes`, as people run it."""
    import turboapi_rs

    from .served import Routes

    # Our stdin has ended by then, and so do we, but not before the processes have.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    routes = {name: Routes(app_and_config(name)[0]) for name in names}
    about = {"server": f"turboapi_rs {turboapi_rs.__version__} (isolation processes)"}
    serving = OneAtATime()
    with contextlib.closing(serving):
        say_ready({}, about)
        answer_questions(lambda app, method, path: routes[app].served(method, path), serving.port)
    # On its way out the interpreter takes a handler away, and what came later would end us; what is ignored stays so.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if serving.faults:
        sys.exit("\n".join(serving.faults))


class OneAtATime:
    """The processes of one app: the next one that is asked for ends them, since those of all would be 180, with 7 GB.

    Rule: an app whose processes have ended is not asked for again, since what it kept is gone (`referee.app_by_app`).
    """

    def __init__(self) -> None:
        self._driver = os.environ.get("TURBOAPI_TEST_DRIVER", "auto")
        self._wanted = int(os.environ.get("TURBOAPI_TEST_WORKERS", "1"))
        self._name = ""
        self._command: Command | None = None
        self._ended: set[str] = set()
        self.faults: list[str] = []
        """Of apps whose processes did not live as long as they should have, or did not end well."""

    def port(self, name: str) -> int:
        """The port of the app, which serves."""
        if self._command is None or self._name != name:
            self.close()
            if name in self._ended:
                raise RuntimeError(f"{name} is asked for again, and what it kept has ended with its processes")
            _, config = app_and_config(name)
            module, _, attribute = name.partition(":")
            settings = {"driver": self._driver, "isolation": "processes", "drain_grace": 5, **config}
            settings["workers"] = processes_for(name, self._wanted)
            options = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
            self._command = Command(f"{APPS}.{module}:{attribute or 'app'}", *options).__enter__()
            self._name = name
        return self._command.port

    def close(self) -> None:
        """Ends what serves."""
        command, self._command = self._command, None
        if command is None:
            return
        self._ended.add(self._name)
        try:
            code, log = command.end(), command.log()
        finally:
            command.close()
        if code != 0 or "another one is started" in log:
            self.faults.append(f"the processes of {self._name} ended with {code}:\n{log[-2000:]}")


SERVERS = {
    "uvicorn": serve_on_uvicorn,
    "granian": serve_on_granian,
    "turboapi": serve_on_turboapi,
    "turboapi-processes": serve_on_turboapi_processes,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](sys.argv[2:])
