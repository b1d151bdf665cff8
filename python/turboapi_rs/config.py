"""What a server can be told.

Owns: `ServerConfig`, its defaults, its checks. Does not own: applying them (`turboapi_rs._core`).
Rule: every setting says unit, effect and precedent; a wrong one is a `ConfigError` that names it, before anything
starts.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import Any

from turboapi_rs._core import ConfigError

__all__ = ["ConfigError", "ServerConfig", "check_gil", "parse_size"]

_CHOICES = {
    "driver": ("auto", "uring", "epoll"),
    "isolation": ("shared", "interpreters", "processes"),
    "gil": ("auto", "require", "refuse"),
    "loops": ("home", "per-worker"),
    "lifespan": ("auto", "on", "off"),
    "log_level": ("debug", "info", "warning", "error", "off"),
}

_COUNTS = (
    "workers",
    "backlog",
    "max_head",
    "max_fields",
    "max_target",
    "max_body",
    "max_connections",
    "max_in_flight",
    "offload_threads",
    "offload_queue",
    "max_requests",
    "max_rss",
)

_SECONDS = ("head_timeout", "body_timeout", "keep_alive_timeout", "write_timeout", "drain_grace")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Settings of one server.

    Args:
        host: address to listen on. A name is resolved once.
        port: TCP port, 0 to 65535. 0: the system picks one.
        uds: path of a Unix domain socket to listen on, in place of host and port.
        fd: inherited listening socket, in place of host and port.
        workers: worker threads. 0: one per core this process may use (affinity and cgroup quota).
        driver: `"auto"` (io_uring, or epoll where it is refused, with one log line), `"uring"`, `"epoll"`.
        isolation: `"shared"`: all workers in the main interpreter; `"processes"`: each worker is a process, watched and
            replaced by a supervisor. For it the application is named by a string.
        gil: `"auto"`, `"require"` (refuse to run without the GIL), `"refuse"` (refuse to run with it).
        loops: `"home"`: one asyncio loop, on worker 0; `"per-worker"`: one each, lifespan run once a worker.
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
        max_connections: connections; one more is 503. 0: unlimited.
        max_in_flight: requests being answered; one more is 503. 0: unlimited. Idle connections do not count.
        head_timeout: seconds for a head from its first byte; then 408. nginx 60, Node 60.
        body_timeout: seconds without progress of a body; then 408. nginx 60.
        keep_alive_timeout: seconds a connection may idle. nginx 75, uvicorn 5.
        write_timeout: seconds without progress of a write; then the connection is cut. nginx 60.
        drain_grace: seconds that busy connections get at the drain. Kubernetes 30.
        offload_threads: threads for work that may block. anyio 40.
        offload_queue: jobs that may wait for one.
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
    fd: int | None = None
    workers: int = 0
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
    max_connections: int = 0
    max_in_flight: int = 0
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 75.0
    write_timeout: float = 30.0
    drain_grace: float = 30.0
    offload_threads: int = 64
    offload_queue: int = 4096
    max_requests: int = 0
    max_age: float = 0.0
    max_rss: int = 0
    half_close: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"{name}: {value!r} is not one of {', '.join(choices)}")
        for name in _COUNTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigError(f"{name}: {value!r} is not a whole number from 0")
        for name in _SECONDS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
                raise ConfigError(f"{name}: {value!r} is not a number of seconds above 0")
        if isinstance(self.port, bool) or not isinstance(self.port, int) or not 0 <= self.port <= 65535:
            raise ConfigError(f"port: {self.port!r} is not a whole number from 0 to 65535")
        if self.uds is not None and self.fd is not None:
            raise ConfigError("uds and fd exclude each other: give one")
        if self.fd is not None and (isinstance(self.fd, bool) or not isinstance(self.fd, int) or self.fd < 0):
            raise ConfigError(f"fd: {self.fd!r} is not a descriptor")
        if self.uds is not None and not self.uds:
            raise ConfigError("uds: the path is empty")
        if self.root_path and not self.root_path.startswith("/"):
            raise ConfigError(f"root_path: {self.root_path!r} does not begin with /")
        if isinstance(self.max_age, bool) or not isinstance(self.max_age, (int, float)) or not 0 <= self.max_age < 1e9:
            raise ConfigError(f"max_age: {self.max_age!r} is not a number of seconds from 0")
        for name in ("max_requests", "max_age", "max_rss"):
            if getattr(self, name) and self.isolation != "processes":
                raise ConfigError(f"{name}: workers are replaced with isolation 'processes' alone")
        if self.isolation == "interpreters":
            raise ConfigError(f"isolation: {self.isolation!r} is not there yet; use 'shared'")

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


def check_gil(config: ServerConfig) -> None:
    """Compare what was asked of the GIL with what is. Call it after the application was imported.

    Raises:
        ConfigError: `gil="refuse"` and the GIL is on, or `gil="require"` and it is off.
    """
    is_on = getattr(sys, "_is_gil_enabled", lambda: True)()
    if config.gil == "refuse" and is_on:
        raise ConfigError("gil: refuse, but the GIL is on: use a free-threaded build, and extensions that support it")
    if config.gil == "require" and not is_on:
        raise ConfigError("gil: require, but the GIL is off: start Python with PYTHON_GIL=1")


def parse_size(text: str) -> int:
    """Read a size such as `65536`, `64KiB`, `16MB`.

    Raises:
        ConfigError: it is none.

    Example:
        >>> parse_size("64KiB"), parse_size("16MB"), parse_size("0")
        (65536, 16000000, 0)
    """
    match = re.fullmatch(r"(\d+)\s*([KMG]i?B?|B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{text!r} is not a size such as 65536, 64KiB or 16MB")
    unit = (match[2] or "").upper().removesuffix("B")
    power = " KMG".index(unit[:1] or " ")
    return int(match[1]) * (1024 if unit.endswith("I") else 1000) ** power
