"""The sockets that worker processes accept from.

Owns: binding them, as `ServerConfig` says where; closing them, with the socket file that was made.
Does not own: accepting (the workers), the sockets of a server in one process (`turboapi_rs._core`).
Rule: bound once, before the first worker: all of them inherit the same ones.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator

from turboapi_rs.config import ConfigError, ServerConfig


@contextlib.contextmanager
def listening(config: ServerConfig) -> Iterator[list[socket.socket]]:
    """Bind what `config` names; at the end, close it.

    Raises:
        ConfigError: the host has no address.
        OSError: the address cannot be bound.
    """
    path = config.uds
    sockets: list[socket.socket] = []
    inode = 0
    try:
        if config.fd is not None:
            sockets = [socket.socket(fileno=os.dup(config.fd))]
        elif path is not None:
            sockets = [_bind_unix(path, config.uds_mode)]
            inode = os.lstat(path).st_ino
        else:
            sockets = _bind_host(config.host, config.port)
        yield sockets
    finally:
        for bound in sockets:
            bound.close()
        with contextlib.suppress(OSError):
            if path is not None and inode and os.lstat(path).st_ino == inode:
                os.unlink(path)


def shown(bound: socket.socket) -> str:
    """Where it listens, as a URL."""
    place = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return f"unix:{place}"
    host = f"[{place[0]}]" if bound.family == socket.AF_INET6 else place[0]
    return f"http://{host}:{place[1]}"


def _bind_host(host: str, port: int) -> list[socket.socket]:
    """Bind every address of a host, on one port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(f"host: {host}: {error.strerror}") from None
    addresses = list(dict.fromkeys((family, place) for family, _, _, _, place in found))
    bound: list[socket.socket] = []
    try:
        for family, place in addresses:
            made = socket.socket(family, socket.SOCK_STREAM)
            bound.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and len(addresses) > 1:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((place[0], port, *place[2:]))
            port = made.getsockname()[1]
    except OSError:
        for made in bound:
            made.close()
        raise
    return bound


def _bind_unix(path: str, mode: int | None) -> socket.socket:
    """Bind a path, in place of a socket file that nobody listens on."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.setblocking(False)
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
                except OSError:
                    pass
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        if mode is not None:
            # Before `listen`, so that nobody connects under wider permissions.
            os.chmod(path, mode)
    except OSError:
        bound.close()
        raise
    return bound
