"""The package's names, which are imported when they are first asked for, asked for by many threads at once.

Modules of FastAPI import each other: of threads that began with different ones some found half of a module, or a deadlock.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKS = """
import random, sys, threading
sys.setswitchinterval(1e-6)
import turboapi_rs
names = list(turboapi_rs.__all__)
barrier, faults, found = threading.Barrier(8), [], [None] * 8

def ask(number):
    mine = list(names)
    random.Random(number).shuffle(mine)
    try:
        barrier.wait()
        found[number] = {name: getattr(turboapi_rs, name) for name in mine}
    except BaseException as fault:
        faults.append((number, repr(fault)))

threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not faults, faults
for each in found:
    assert all(each[name] is getattr(turboapi_rs, name) for name in names)
print("all there")
"""


@pytest.mark.once
def test_names_asked_for_by_many_threads_at_once_are_all_there():
    for _ in range(2):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", ASKS], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "all there\n", "")
