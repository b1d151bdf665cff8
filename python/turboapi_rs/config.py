"""What a server can be told.

Owns: `ServerConfig`, its defaults, its checks. Does not own: applying them (`turboapi_rs._core`).
Rule: every setting says unit, effect and precedent; a wrong one is a `ConfigError` that names it, before anything
starts.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from turboapi_rs._core import ConfigError

__all__ = ["CHOICES", "ConfigError", "ServerConfig", "parse_size"]

#: Settings that are one word of some.
CHOICES = {
    "driver": ("auto", "uring", "epoll"),
    "isolation": ("shared", "interpreters", "processes"),
    "gil": ("auto", "require", "refuse"),
    "loops": ("home", "per-worker"),
    "lifespan": ("auto", "on", "off"),
    "log_level": ("debug", "info", "warning", "error", "off"),
}

_COUNTS = (
    "backlog",
    "max_head",
    "max_fields",
    "max_target",
    "max_body",
    "max_form_parts",
    "max_form_head",
    "max_form_field",
    "max_form_file",
    "form_spool",
    "max_connections",
    "max_in_flight",
    "offload_threads",
    "offload_queue",
    "max_requests",
    "max_rss",
    "direct_after",
)

_TEXTS = ("host", "root_path", "forwarded_allow_ips")

_SECONDS = (
    "head_timeout",
    "body_timeout",
    "keep_alive_timeout",
    "write_timeout",
    "drain_grace",
    "direct_under",
    "direct_over",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Settings of one server.

    Args:
        host: address to listen on. A name is resolved once.
        port: TCP port, 0 to 65535. 0: the system picks one.
        uds: path of a Unix domain socket to listen on, in place of host and port.
        uds_mode: permission bits of the socket's file, 0 to 0o777. None: what the umask leaves. uvicorn: 0o666.
        fd: inherited listening socket, in place of host and port.
        workers: worker threads. 0: one per core this process may use (affinity and cgroup quota). None: the same, but
            one where the GIL is on.
        driver: `"auto"` (io_uring, or epoll where it is refused, with one log line), `"uring"`, `"epoll"`.
        isolation: `"shared"`: all workers in the main interpreter; `"interpreters"`: each worker imports the
            application into an interpreter of its own, and runs its lifespan there (`Server` and ASGI applications
            whose modules allow it); `"processes"`: each worker is a process, watched and replaced by a supervisor. For
            the last two the application is named by a string.
        gil: `"auto"`, `"require"` (refuse to run without the GIL), `"refuse"` (refuse to run with it).
        loops: `"home"`: one asyncio loop, on worker 0; `"per-worker"`: one each, lifespan run once a worker. In
            interpreters of their own and in processes there is always one each.
        lifespan: `"auto"`, `"on"`, `"off"`, as in uvicorn.
        root_path: prefix that a proxy in front has taken off.
        forwarded_allow_ips: proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed: addresses, networks,
            or `"*"`; empty: none. uvicorn: the same option, the same default.
        log_level: `"debug"`, `"info"`, `"warning"`, `"error"`, `"off"`.
        backlog: connections the kernel queues, a listener. uvicorn 2048.
        max_head: bytes of request head; more is 431. nginx 32 KiB, Node 16 KiB, h11 16 KiB.
        max_fields: fields of a request; more is 431. Apache 100.
        max_target: bytes of request target; more is 414. Apache 8190, nginx 8 KiB.
        max_body: bytes of request body; more is 413. 0: unlimited. nginx 1 MiB.
        max_form_parts: parts of an uploaded form; more is 413. Starlette 1,000.
        max_form_head: bytes of a part's head; more is 413. python-multipart 8 fields of 4 KiB.
        max_form_field: bytes of a field that is no file; more is 413. Starlette 1 MiB.
        max_form_file: bytes of a file; more is 413. 0: as `max_body` allows. Starlette: unlimited.
        form_spool: bytes of a file that are held in memory; a larger one lies on disk, without a name. Starlette 1 MiB.
        max_connections: connections; one more is 503. 0: unlimited.
        max_in_flight: requests being answered; one more is 503. 0: unlimited. Idle connections do not count.
        head_timeout: seconds for a head from its first byte; then 408. nginx 60, Node 60.
        body_timeout: seconds without progress of a body; then 408. nginx 60.
        keep_alive_timeout: seconds a connection may idle. nginx 75, uvicorn 5.
        write_timeout: seconds without progress of a write; then the connection is cut. nginx 60.
        drain_grace: seconds that busy connections get at the drain. Kubernetes 30.
        offload_threads: threads for work that may block. anyio 40.
        offload_queue: jobs that may wait for one; one more is 503.
        direct_after: calls in a row under `direct_under` after which a `def` route runs on the worker. 0: at once.
        direct_under: seconds of wall time that such a call may take.
        direct_over: seconds over which one call on the worker sends its route back to the offload pool.
        max_requests: requests after which a worker process is replaced by a fresh one. 0: never. gunicorn: the same.
        max_age: seconds after which it is replaced. 0: never.
        max_rss: bytes of memory from which it is replaced. 0: never. granian: the same, in MiB.
        half_close: a peer that ends its sending side while its response is pending still gets it. uvicorn: no.

    Raises:
        ConfigError: a setting is out of range, or two exclude each other.

    Example:
        >>> ServerConfig(port=0, workers=1).driver
        'auto'
        >>> ServerConfig(workers=-1)
        Traceback (most recent call last):
            ...
        turboapi_rs._core.ConfigError: workers: -1 is not a whole number from 0
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    uds_mode: int | None = None
    fd: int | None = None
    workers: int | None = None
    driver: str = "auto"
    isolation: str = "shared"
    gil: str = "auto"
    loops: str = "home"
    lifespan: str = "auto"
    root_path: str = ""
    forwarded_allow_ips: str = "127.0.0.1"
    log_level: str = "warning"
    backlog: int = 2048
    max_head: int = 16 * 1024
    max_fields: int = 100
    max_target: int = 8 * 1024
    max_body: int = 16 * 1024 * 1024
    max_form_parts: int = 1000
    max_form_head: int = 8 * 1024
    max_form_field: int = 1024 * 1024
    max_form_file: int = 0
    form_spool: int = 1024 * 1024
    max_connections: int = 0
    max_in_flight: int = 0
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 75.0
    write_timeout: float = 30.0
    drain_grace: float = 30.0
    offload_threads: int = 64
    offload_queue: int = 4096
    direct_after: int = 16
    direct_under: float = 0.001
    direct_over: float = 0.005
    max_requests: int = 0
    max_age: float = 0.0
    max_rss: int = 0
    half_close: bool = False

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"{name}: {value!r} is not one of {', '.join(choices)}")
        for name in _COUNTS:
            _check_whole(name, getattr(self, name))
        if self.workers is not None:
            _check_whole("workers", self.workers)
        for name in _SECONDS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
                raise ConfigError(f"{name}: {value!r} is not a number of seconds above 0")
        for name in _TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) or "\0" in value:
                raise ConfigError(f"{name}: {value!r} is not a str")
        if not isinstance(self.half_close, bool):
            raise ConfigError(f"half_close: {self.half_close!r} is not a bool")
        if self.root_path and not self.root_path.startswith("/"):
            raise ConfigError(f"root_path: {self.root_path!r} does not begin with /")
        if isinstance(self.max_age, bool) or not isinstance(self.max_age, (int, float)) or not 0 <= self.max_age < 1e9:
            raise ConfigError(f"max_age: {self.max_age!r} is not a number of seconds from 0")
        for name in ("max_requests", "max_age", "max_rss"):
            if getattr(self, name) and self.isolation != "processes":
                raise ConfigError(f"{name}: workers are replaced with isolation 'processes' alone")
        self._check_place()

    def _check_place(self) -> None:
        """Check where to listen: one place, and a possible one."""
        _check_whole("port", self.port, 65535)
        if self.uds is not None and self.fd is not None:
            raise ConfigError("uds and fd exclude each other: give one")
        if self.fd is not None:
            _check_whole("fd", self.fd, 2**31 - 1, "a descriptor, a whole number")
        if self.uds is not None and (not isinstance(self.uds, str) or not self.uds or "\0" in self.uds):
            raise ConfigError(f"uds: {self.uds!r} is not the path of a socket")
        if self.uds_mode is not None:
            if isinstance(self.uds_mode, bool) or not isinstance(self.uds_mode, int) or not 0 <= self.uds_mode <= 0o777:
                raise ConfigError(f"uds_mode: {self.uds_mode!r} is not permission bits, 0 to 0o777")
            if self.uds is None:
                raise ConfigError("uds_mode: there is no uds that it is for")
        place = "uds" if self.uds is not None else "fd" if self.fd is not None else None
        if place is not None:
            for name in ("host", "port"):
                if getattr(self, name) != getattr(type(self), name):
                    raise ConfigError(f"{name} and {place} exclude each other: give one")

    @classmethod
    def of(cls, config: ServerConfig | None = None, **settings: Any) -> ServerConfig:
        """Make a configuration from another one and single settings.

        Raises:
            ConfigError: a setting is unknown or wrong.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        for name in settings:
            if name not in known:
                raise ConfigError(f"{name}: no such setting; there are {', '.join(sorted(known))}")
        return dataclasses.replace(config or cls(), **settings)

    def to_core(self) -> dict[str, object]:
        """Flat settings for the native server."""
        settings = dataclasses.asdict(self)
        settings["bind"] = "fd" if self.fd is not None else "uds" if self.uds is not None else "tcp"
        settings["fds"] = [] if self.fd is None else [self.fd]
        for ours, core in (
            ("max_head", "max_head_bytes"),
            ("max_target", "max_target_bytes"),
            ("max_body", "max_body_bytes"),
        ):
            settings[core] = settings.pop(ours)
        return settings


def _check_whole(name: str, value: object, most: int = 2**63 - 1, what: str = "a whole number") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        bound = "" if most == 2**63 - 1 else f" to {most}"
        raise ConfigError(f"{name}: {value!r} is not {what} from 0{bound}")


def parse_size(text: str) -> int:
    """Read a size such as `65536`, `64KiB`, `16MB`: `K`, `M`, `G` are powers of 1000, `Ki`, `Mi`, `Gi` of 1024.

    A `B` at the end says nothing more; upper and lower case are one.

    Raises:
        ConfigError: it is none.

    Example:
        >>> parse_size("64KiB"), parse_size("64K"), parse_size("16MB"), parse_size("0")
        (65536, 64000, 16000000, 0)
    """
    match = re.fullmatch(r"([0-9]+)\s*(?:([KMG])(i?))?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{text!r} is not a size such as 65536, 64KiB (65,536) or 16MB (16,000,000)")
    count, unit, binary = match.groups()
    return int(count) * (1024 if binary else 1000) ** " KMG".index((unit or " ").upper())
