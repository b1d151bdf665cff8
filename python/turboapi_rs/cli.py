"""`turboapi run module:app`, `turboapi routes module:app` and `turboapi version`.

Owns: arguments, finding the application, exit codes. Does not own: serving (`turboapi_rs.server`).
Rule: a wrong argument, an app that cannot be found or bound: exit 2 and one line; an app that refuses to start: exit 3
and its own message; a signal before the start: 128 and its number. Tracebacks only with `--log-level debug`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from turboapi_rs import gil
from turboapi_rs._core import ConfigError, StartupError, build_info, interpreters_left_behind
from turboapi_rs.config import CHOICES, ServerConfig, parse_size
from turboapi_rs.loading import AppNotFound, AppTarget
from turboapi_rs.server import Server, serve
from turboapi_rs.serving import tell_of_crashes
from turboapi_rs.supervisor import WorkersFailed

#: The first descriptor that systemd passes.
_LISTEN_FDS_START = 3

_SIZES = {
    "max_head",
    "max_target",
    "max_body",
    "max_rss",
    "max_form_head",
    "max_form_field",
    "max_form_file",
    "form_spool",
}
_HELP = {
    "host": "address to listen on",
    "port": "port to listen on; 0: the system picks one",
    "uds": "Unix domain socket to listen on, in place of host and port",
    "uds_mode": "permission bits of the socket's file, octal",
    "fd": "inherited listening socket, in place of host and port; LISTEN_FDS of systemd is honoured",
    "workers": "worker threads, or processes; 0: one per available core; left out: the same, but 1 where the GIL is on",
    "isolation": "what a worker's Python world is",
    "gil": "auto: say so when it is on; require, refuse: exit 2 when it is off, on",
    "driver": "auto: io_uring, or epoll where it is refused",
    "loops": "home: one event loop; per-worker: one each",
    "lifespan": "as in uvicorn",
    "root_path": "prefix that a proxy has taken off",
    "forwarded_allow_ips": "proxies to believe: addresses, networks, or *",
    "log_level": "what is logged; debug adds tracebacks of the start",
    "backlog": "connections the kernel queues",
    "max_head": "bytes of request head (431)",
    "max_fields": "fields of a request (431)",
    "max_target": "bytes of request target (414)",
    "max_body": "bytes of request body (413); 0: unlimited",
    "max_form_parts": "parts of an uploaded form (413)",
    "max_form_head": "bytes of a part's head (413)",
    "max_form_field": "bytes of a field that is no file (413)",
    "max_form_file": "bytes of a file of a form (413); 0: as max_body allows",
    "form_spool": "bytes of such a file that are held in memory",
    "max_connections": "connections (503); 0: unlimited",
    "max_in_flight": "requests being answered (503); 0: unlimited",
    "head_timeout": "seconds for a head (408)",
    "body_timeout": "seconds without progress of a body (408)",
    "keep_alive_timeout": "seconds a connection may idle",
    "write_timeout": "seconds without progress of a write",
    "drain_grace": "seconds that busy connections get at the end",
    "offload_threads": "threads for work that may block",
    "offload_queue": "jobs that may wait for such a thread (503)",
    "direct_after": "fast calls in a row that earn a def route direct calls; 0: none",
    "direct_under": "seconds that such a call may take",
    "direct_over": "seconds over which a direct call loses them again",
    "max_requests": "requests after which a worker process is replaced; 0: never (isolation processes)",
    "max_age": "seconds after which it is replaced; 0: never",
    "max_rss": "bytes of memory from which it is replaced; 0: never",
    "half_close": "answer peers that have ended their sending side",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "version":
        return _version()
    if arguments.command == "routes":
        return _routes(arguments)
    tell_of_crashes()
    code = _run(arguments)
    if interpreters_left_behind():
        # CPython aborts when it ends with another interpreter in which a thread still runs.
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"turboapi: {message.removeprefix('argument ')}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="turboapi", description="Serve ASGI, FastAPI and raw applications.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,routes,version}")
    run = commands.add_parser(
        "run",
        help="serve an application",
        allow_abbrev=False,
        epilog="A SIZE is a number of bytes: 65536, 64KiB (65,536), 64KB or 64K (64,000); M and G likewise.",
    )
    run.add_argument("app", help="module:attribute, such as main:app")
    run.add_argument("--factory", action="store_true", help="call the attribute to get the application")
    run.add_argument("--app-dir", default=".", help="folder to import from")
    for field in dataclasses.fields(ServerConfig):
        option = "--" + field.name.replace("_", "-")
        # What was not given stays away: an explicit default may contradict another option.
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
        if isinstance(field.default, bool):
            run.add_argument(option, action="store_true", **common)
        elif field.name in CHOICES:
            run.add_argument(option, metavar="|".join(CHOICES[field.name]), **common)
        else:
            kind, metavar = _kind(field)
            run.add_argument(option, type=kind, metavar=metavar, **common)
    routes = commands.add_parser(
        "routes", help="say of each FastAPI route whether it runs directly, and why not", allow_abbrev=False
    )
    routes.add_argument("app", help="module:attribute, such as main:app")
    routes.add_argument("--factory", action="store_true", help="call the attribute to get the application")
    routes.add_argument("--app-dir", default=".", help="folder to import from")
    routes.add_argument("--root-path", default="", help="prefix that a proxy in front has taken off")
    routes.add_argument("--json", action="store_true", help="as JSON, an object a route")
    commands.add_parser("version", help="say what this build is and what it can do here", allow_abbrev=False)
    return parser


def _help(field: dataclasses.Field[Any]) -> str:
    text = _HELP[field.name]
    if field.default in (None, "", False):
        return text
    return f"{text} (default: {field.default})"


def _kind(field: dataclasses.Field[Any]) -> tuple[Callable[[str], Any], str]:
    """How the text of an option is read, and what it is called in the help."""
    if field.name in _SIZES:
        return _reader(parse_size), "SIZE"
    if field.name == "uds_mode":
        return _reader(_octal), "MODE"
    if isinstance(field.default, float):
        return _reader(float, "a number of seconds"), "SECONDS"
    if isinstance(field.default, int) or field.name in ("workers", "fd"):
        return _reader(_whole, "a whole number"), "N"
    return str, field.name.removeprefix("forwarded_allow_").upper()


def _reader(read: Callable[[str], Any], wanted: str = "") -> Callable[[str], Any]:
    """Have what is wrong with a value said in our words."""

    def reader(text: str) -> Any:
        try:
            return read(text)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None

    return reader


def _whole(text: str) -> int:
    # `int` alone takes underscores and digits of other scripts.
    if re.fullmatch(r"-?[0-9]+", text) is None:
        raise ValueError
    return int(text)


def _octal(text: str) -> int:
    if re.fullmatch(r"(0o)?[0-7]{1,4}", text) is None:
        raise ConfigError(f"{text!r} is not permission bits in octal, such as 660")
    return int(text, 8)


def _version() -> int:
    info = build_info()
    free = info["free_threaded"]
    why = gil.reason()
    state = "GIL off" if why is None else "GIL on"
    print(f"turboapi {info['version']} (Python {info['python']}, {'free-threaded' if free else 'GIL'} build, {state})")
    if why is not None and free:
        print(f"gil: on: {why}")
    refusal = info["uring_refusal"]
    print(f"driver: {info['driver']}" + (f" (io_uring is refused here: {refusal})" if refusal else ""))
    print(f"isolation: {', '.join(filter(_is_there, CHOICES['isolation']))}")
    print(f"cores: {info['cores']}")
    return 0


def _is_there(isolation: str) -> bool:
    try:
        ServerConfig(isolation=isolation)
    except ConfigError:
        return False
    return True


def _run(arguments: argparse.Namespace) -> int:
    given = {
        field.name: getattr(arguments, field.name)
        for field in dataclasses.fields(ServerConfig)
        if hasattr(arguments, field.name)
    }
    is_debug = given.get("log_level") == "debug"

    def fail(code: int, message: str) -> int:
        if is_debug:
            traceback.print_exc()
        print(f"turboapi: {message}", file=sys.stderr)
        return code

    try:
        config = ServerConfig(**_with_place(given))
        serve(AppTarget(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory), config)
    except ConfigError as error:
        return fail(2, _with_options(str(error)))
    except (AppNotFound, ValueError) as error:
        return fail(2, str(error))
    except OSError as error:
        return fail(2, f"cannot listen: {error.strerror or error}")
    except StartupError as error:
        return fail(3, f"the application did not start: {error}")
    except WorkersFailed as error:
        return fail(error.code, str(error))
    except RuntimeError as error:
        return fail(1, str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _routes(arguments: argparse.Namespace) -> int:
    try:
        app = AppTarget(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory).load()
    except AppNotFound as error:
        print(f"turboapi: {error}", file=sys.stderr)
        return 2
    if isinstance(app, Server):
        print(f"turboapi: {arguments.app}: the routes of a Server all run directly; there is nothing to explain")
        return 0
    if "fastapi" not in sys.modules or not isinstance(app, sys.modules["fastapi"].FastAPI):
        print(f"turboapi: {arguments.app} is no FastAPI application: it runs as ASGI", file=sys.stderr)
        return 2
    from turboapi_rs import plans

    rows = plans.explain(app, root_path=arguments.root_path)
    print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) if arguments.json else plans.table(rows))
    return 0


def _with_place(given: dict[str, Any]) -> dict[str, Any]:
    """Add the socket that systemd passed, and refuse two places to listen on."""
    places = [name for name in ("uds", "fd") if given.get(name) is not None]
    others = [name for name in ("host", "port") if name in given]
    inherited = _listen_fd() if "fd" not in given else None
    if inherited is not None and (places or others):
        raise ConfigError(f"{(places + others)[0]}: LISTEN_FDS passed a socket to listen on: leave this out")
    if len(places) == 1 and others:
        raise ConfigError(f"{others[0]} and {places[0]} exclude each other: give one")
    return given if inherited is None else {**given, "fd": inherited}


def _with_options(message: str) -> str:
    """Name settings as the command line does."""
    names = {field.name for field in dataclasses.fields(ServerConfig)}
    head, colon, rest = message.partition(":")
    words = [f"--{word.replace('_', '-')}" if word in names else word for word in head.split(" ")]
    return " ".join(words) + colon + rest if words[0].startswith("--") else message


def _listen_fd() -> int | None:
    """The socket that systemd passed, if it was passed to this process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "0")
    if not count.isdigit() or int(count) == 0:
        return None
    if int(count) > 1:
        raise ConfigError(f"LISTEN_FDS: {count} sockets were passed, one can be served")
    return _LISTEN_FDS_START
