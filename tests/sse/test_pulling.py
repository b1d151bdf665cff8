"""`pulling`: sync iterators on threads, by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from turboapi_rs.pulling import in_threads

SOON = 20.0


class Source:
    def __init__(self) -> None:
        self.closed_on: list[int] = []
        self.is_closed = threading.Event()
        self.error: Exception | None = None
        # Kept here: with its last reference it would be closed as well.
        self.items = self.make()

    def make(self):
        try:
            while True:
                yield "item"
        finally:
            self.closed_on.append(threading.get_ident())
            self.is_closed.set()
            if self.error is not None:
                raise self.error


async def closing(items, about_to_close: asyncio.Event) -> None:
    assert await anext(items) == "item"
    about_to_close.set()
    await items.aclose()


@pytest.mark.parametrize("turns", range(4))
def test_iterator_is_closed_though_its_closing_is_cancelled(turns):
    source = Source()

    async def run() -> None:
        about_to_close = asyncio.Event()
        task = asyncio.create_task(closing(in_threads(source.items), about_to_close))
        await about_to_close.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(source.is_closed.wait, SOON)
        # Its task ends on this loop.
        deadline = asyncio.get_running_loop().time() + SOON
        while len(asyncio.all_tasks()) > 1:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.001)

    asyncio.run(run())
    (thread,) = source.closed_on
    assert thread != threading.get_ident()


def test_what_the_closing_raises_is_raised():
    source = Source()
    source.error = ValueError("it does not close")

    async def run() -> None:
        await closing(in_threads(source.items), asyncio.Event())

    with pytest.raises(ValueError, match="it does not close"):
        asyncio.run(run())
    assert len(source.closed_on) == 1
