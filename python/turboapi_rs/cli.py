"""`turboapi run module:app` and `turboapi version`.

Owns: arguments, finding the application, exit codes. Does not own: serving (`turboapi_rs.server`).
Rule: a wrong argument, an app that cannot be found or bound: exit 2 and one line; an app that refuses to start: exit 3
and its own message. Tracebacks only with `--log-level debug`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import traceback

from turboapi_rs._core import ConfigError, StartupError, build_info
from turboapi_rs.config import ServerConfig, parse_size
from turboapi_rs.loading import AppNotFound, AppTarget
from turboapi_rs.server import serve
from turboapi_rs.supervisor import WorkersFailed

#: The first descriptor that systemd passes.
_LISTEN_FDS_START = 3

_SIZES = {"max_head", "max_target", "max_body", "max_rss"}
_HELP = {
    "host": "address to listen on",
    "port": "port to listen on; 0: the system picks one",
    "uds": "Unix domain socket to listen on",
    "fd": "inherited listening socket",
    "workers": "worker threads, or processes; 0: one per available core",
    "isolation": "shared, interpreters or processes",
    "gil": "auto, require or refuse",
    "driver": "auto, uring or epoll",
    "loops": "home (one event loop) or per-worker",
    "lifespan": "auto, on or off",
    "root_path": "prefix that a proxy has taken off",
    "forwarded_allow_ips": "proxies to believe: addresses, networks, or *",
    "log_level": "debug, info, warning, error or off",
    "backlog": "connections the kernel queues",
    "max_head": "bytes of request head (431)",
    "max_fields": "fields of a request (431)",
    "max_target": "bytes of request target (414)",
    "max_body": "bytes of request body (413); 0: unlimited",
    "max_connections": "connections (503); 0: unlimited",
    "max_in_flight": "requests being answered (503); 0: unlimited",
    "head_timeout": "seconds for a head (408)",
    "body_timeout": "seconds without progress of a body (408)",
    "keep_alive_timeout": "seconds a connection may idle",
    "write_timeout": "seconds without progress of a write",
    "drain_grace": "seconds that busy connections get at the end",
    "offload_threads": "threads for work that may block",
    "offload_queue": "jobs that may wait for such a thread",
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
    return _run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="turboapi", description="Serve ASGI, FastAPI and raw applications.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="serve an application", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    run.add_argument("app", help="module:attribute, such as main:app")
    run.add_argument("--factory", action="store_true", help="call the attribute to get the application")
    run.add_argument("--app-dir", default=".", help="folder to import from")
    for field in dataclasses.fields(ServerConfig):
        option = "--" + field.name.replace("_", "-")
        text = _HELP[field.name]
        if field.name == "half_close":
            run.add_argument(option, action="store_true", help=text)
        elif field.name in _SIZES:
            run.add_argument(option, type=_size, default=field.default, metavar="SIZE", help=text)
        elif isinstance(field.default, (int, float)):
            run.add_argument(option, type=type(field.default), default=field.default, metavar="N", help=text)
        else:
            kind = int if field.name == "fd" else str
            run.add_argument(option, type=kind, default=field.default, help=text)
    commands.add_parser("version", help="say what this build is")
    return parser


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _version() -> int:
    info = build_info()
    built = "free-threaded build" if info["free_threaded"] else "GIL build"
    gil = "GIL on" if info["gil_enabled"] else "GIL off"
    print(f"turboapi {info['version']} (Python {info['python']}, {built}, {gil})")
    print(f"drivers: {', '.join(info['drivers'])}")
    print("isolation: shared, processes")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    is_debug = arguments.log_level == "debug"

    def fail(code: int, message: str) -> int:
        if is_debug:
            traceback.print_exc()
        print(f"turboapi: {message}", file=sys.stderr)
        return code

    try:
        settings = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(ServerConfig)}
        if arguments.fd is None and arguments.uds is None:
            settings["fd"] = _listen_fd()
        config = ServerConfig(**settings)
        serve(AppTarget(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory), config)
    except (ConfigError, AppNotFound) as error:
        return fail(2, str(error))
    except ValueError as error:
        return fail(2, str(error))
    except OSError as error:
        return fail(2, f"cannot listen: {error.strerror or error}")
    except StartupError as error:
        return fail(3, f"the application did not start: {error}")
    except WorkersFailed as error:
        return fail(error.code, str(error))
    except KeyboardInterrupt:
        return 130
    return 0


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
