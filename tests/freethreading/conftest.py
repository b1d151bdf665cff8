"""Many threads at once: a barrier to start them together, a switch interval at which anything may come between."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

THREADS = 8
"""Threads that hammer one thing. More than any machine that runs this has cores to spare."""


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """Where the GIL is on, threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def at_once() -> Callable[..., list[object]]:
    """Run `work(number)` on many threads, started together; gives what each gave, or raises what one raised."""

    def run(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
        barrier = threading.Barrier(threads)
        results: list[object] = [None] * threads
        faults: list[BaseException] = []

        def live(number: int) -> None:
            try:
                barrier.wait()
                results[number] = work(number)
            except BaseException as fault:
                faults.append(fault)

        workers = [threading.Thread(target=live, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if faults:
            raise faults[0]
        return results

    return run
