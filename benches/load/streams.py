"""A client that holds many event streams and counts events. Run by `run.py` in a process of its own.

    python benches/load/streams.py PORT TARGET STREAMS

Prints `open` when every stream has given its first event. Each line on stdin is answered with the events so far.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading


def open_stream(port: int, target: str) -> socket.socket:
    """A connection that has asked for the stream."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
    return sock


def main(port: int, target: str, streams: int) -> None:
    """Opens, reads for ever, answers."""
    selector = selectors.DefaultSelector()
    counted, begun = 0, set()
    all_open = threading.Event()

    def read() -> None:
        nonlocal counted
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)
                counted += data.count(b"data:")
                if b"data:" in data:
                    begun.add(key.fd)
            if len(begun) == streams:
                all_open.set()

    for _ in range(streams):
        selector.register(open_stream(port, target), selectors.EVENT_READ)
    threading.Thread(target=read, daemon=True).start()
    if not all_open.wait(60):
        raise SystemExit(f"only {len(begun)} of {streams} streams gave an event")
    print("open", flush=True)
    for _ in sys.stdin:
        print(counted, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
