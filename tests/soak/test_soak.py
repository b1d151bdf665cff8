"""`refs_return` over all kinds and isolations: some thousands of requests here, a million with `make soak`."""

from __future__ import annotations

import sys

import pytest

from tests.soak.__main__ import IN_ONE_PROCESS, Look, grown, soak

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read in /proc"),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("isolation", "app"), [*IN_ONE_PROCESS, ("processes", "server"), ("processes", "fastapi")])
def test_nothing_grows(isolation, app):
    requests = 20_000 if (isolation, app) == ("interpreters", "server") else 10_000
    lines, more = soak(isolation, app, requests, 2, warm_up=0.3)
    assert more == [], lines


def test_growth_is_noticed():
    before = Look(1, [{"pid": 7, "objects": {"dict": 10}, "references": {"handler": 2}}], {7: 50.0})
    after = Look(2, [{"pid": 7, "objects": {"dict": 1000, "Leak": 500}, "references": {"handler": 502}}], {7: 90.0})
    assert grown(before, before) == []
    assert grown(before, after) == [
        "objects of dict: 10 became 1000",
        "objects of Leak: 0 became 500",
        "references of handler: 2 became 502",
        "memory of process 7: 50.0 became 90.0 MiB",
    ]
