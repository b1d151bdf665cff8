"""The loop on which tasks run: its callbacks, timers and contexts are asyncio's, though it keeps them itself."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import threading
import weakref

import pytest
from turboapi_rs import Server

from tests.support.wire import request_bytes

COLOUR = contextvars.ContextVar("colour", default="none")


async def callbacks_in_order():
    loop = asyncio.get_running_loop()
    seen, done = [], loop.create_future()
    loop.call_soon(seen.append, "first")
    loop.call_soon_threadsafe(seen.append, "second")
    loop.call_soon(seen.append, "third")
    loop.call_soon(done.set_result, None)
    await done
    return seen == ["first", "second", "third"]


async def timers_in_order():
    loop = asyncio.get_running_loop()
    seen, done = [], loop.create_future()
    now = loop.time()
    loop.call_at(now + 0.03, done.set_result, None)
    loop.call_at(now + 0.02, seen.append, "late")
    loop.call_at(now + 0.01, seen.append, "early")
    loop.call_at(now + 0.01, seen.append, "as early, and later set")
    loop.call_later(-1, seen.append, "at once")
    await done
    return seen == ["at once", "early", "as early, and later set", "late"]


async def cancelled_ones_are_not_called():
    loop = asyncio.get_running_loop()
    seen = []
    timer, soon = loop.call_later(0.005, seen.append, "timer"), loop.call_soon(seen.append, "soon")
    when = timer.when()
    timer.cancel()
    soon.cancel()
    soon.cancel()
    await asyncio.sleep(0.02)
    return not seen and timer.cancelled() and soon.cancelled() and when <= loop.time()


async def cancelled_ones_let_go():
    class Thing:
        def call(self):
            pass

    thing = Thing()
    gone = weakref.ref(thing)
    timer = asyncio.get_running_loop().call_later(3600, thing.call)
    del thing
    timer.cancel()
    gc.collect()
    return gone() is None


async def many_cancelled_timers_leave_the_others():
    loop = asyncio.get_running_loop()
    seen = []
    for _ in range(1000):
        loop.call_later(3600, seen.append, "never").cancel()
    kept = [loop.call_later(0.001 * n, seen.append, n) for n in range(5)]
    for _ in range(1000):
        loop.call_later(0.0001, seen.append, "never").cancel()
    await asyncio.sleep(0.05)
    return seen == list(range(5)) and not any(timer.cancelled() for timer in kept)


async def contexts_are_those_of_the_caller():
    loop = asyncio.get_running_loop()
    seen = []
    COLOUR.set("red")
    loop.call_soon(lambda: (seen.append(COLOUR.get()), COLOUR.set("black")))
    loop.call_later(0.001, lambda: seen.append(COLOUR.get()))
    other = contextvars.copy_context()
    other.run(COLOUR.set, "blue")
    loop.call_soon(lambda: seen.append(COLOUR.get()), context=other)
    timer = loop.call_later(0.002, lambda: seen.append(COLOUR.get()), context=other)
    same = timer.get_context() is other
    await asyncio.sleep(0.02)
    return same and seen == ["red", "blue", "red", "blue"] and COLOUR.get() == "red"


async def exceptions_are_told_to_the_handler():
    loop = asyncio.get_running_loop()
    told, seen = [], []
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        handle = loop.call_soon(int, "no number")
        loop.call_soon(seen.append, "after")
        await asyncio.sleep(0.001)
    finally:
        loop.set_exception_handler(None)
    return (
        seen == ["after"]
        and len(told) == 1
        and isinstance(told[0]["exception"], ValueError)
        and told[0]["handle"] is handle
        and "Exception in callback int(" in told[0]["message"]
    )


async def tasks_know_themselves():
    task = asyncio.current_task()
    await asyncio.sleep(0.001)
    inner = await asyncio.create_task(of_task())
    return task is asyncio.current_task() and inner is not task


async def of_task():
    await asyncio.sleep(0)
    return asyncio.current_task()


async def timeouts_end_what_takes_too_long():
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
    except TimeoutError:
        pass
    else:
        return False
    async with asyncio.timeout(3600) as timeout:
        timeout.reschedule(None)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except TimeoutError:
        return await asyncio.wait_for(asyncio.sleep(0.001, "well"), 3600) == "well"
    return False


async def cancellation_reaches_a_sleeper():
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel("enough")
    try:
        await task
    except asyncio.CancelledError as error:
        return error.args == ("enough",) and asyncio.current_task().cancelling() == 0
    return False


async def a_sleeper_that_is_cancelled_when_it_is_due_is_cancelled():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(0.005))
    loop.call_later(0.004, task.cancel)
    await asyncio.sleep(0.02)
    return task.cancelled()


async def others_wake_it():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set_result, "woken")).start()
    return await done == "woken"


async def debug_mode_is_asyncios_own():
    loop = asyncio.get_running_loop()
    seen = []
    early = loop.call_later(0.015, seen.append, "set before")
    loop.set_debug(True)
    try:
        handle, timer = loop.call_soon(seen.append, "soon"), loop.call_later(0.001, seen.append, "later")
        kinds = type(handle) is asyncio.Handle and type(timer) is asyncio.TimerHandle
        dropped = loop.call_later(0.001, seen.append, "dropped")
        dropped.cancel()
        await asyncio.sleep(0.02)
        try:
            loop.call_soon(None)
        except TypeError:
            kinds = kinds and True
        else:
            kinds = False
    finally:
        loop.set_debug(False)
    await asyncio.sleep(0.001)
    return kinds and seen == ["soon", "later", "set before"] and not early.cancelled()


async def no_time_is_too_far():
    # More seconds than a clock has once ended the worker, in debug mode and in an interpreter of its own.
    loop = asyncio.get_running_loop()
    for is_debug in (False, True):
        loop.set_debug(is_debug)
        try:
            for seconds in (1e10, 1e18, 9.3e18, 1e300, float("inf")):
                timer = loop.call_later(seconds, print, "never")
                # Until it is the next one.
                await asyncio.sleep(0.01)
                await asyncio.to_thread(int)
                timer.cancel()
        finally:
            loop.set_debug(False)
    return True


CHECKS = [
    callbacks_in_order,
    timers_in_order,
    cancelled_ones_are_not_called,
    cancelled_ones_let_go,
    many_cancelled_timers_leave_the_others,
    pytest.param(contexts_are_those_of_the_caller, marks=pytest.mark.in_memory),
    exceptions_are_told_to_the_handler,
    tasks_know_themselves,
    timeouts_end_what_takes_too_long,
    cancellation_reaches_a_sleeper,
    a_sleeper_that_is_cancelled_when_it_is_due_is_cancelled,
    others_wake_it,
    debug_mode_is_asyncios_own,
    no_time_is_too_far,
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_loop_behaves_as_asyncios(live, connect, check):
    assert asyncio.run(check()), "the check itself"
    server = Server()
    server.route("GET", "/", check)
    answer = connect(live(server)).exchange(request_bytes("GET", "/"))
    assert (answer.status, json.loads(answer.body)) == (200, True)
