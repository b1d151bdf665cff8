"""FastAPI's own tests pass with TurboAPI as they pass with FastAPI. Minutes long: only where `TURBOAPI_FASTAPI_SUITE` is set."""

import os

import pytest

from .__main__ import left_out, lost, main, summary

pytestmark = pytest.mark.once


REFERENCE = {"m::a": ("passed", ""), "m::b": ("failed", "no x"), "m::c": ("passed", ""), "m::d": ("failed", "no x")}
OURS = {"m::a": ("passed", ""), "m::b": ("passed", ""), "m::c": ("failed", "")}


def test_what_passes_in_one_only_is_found():
    assert lost(REFERENCE, OURS) == ["m::c"]
    assert lost(OURS, REFERENCE) == ["m::b"]
    assert lost(REFERENCE, {}) == ["m::a", "m::c"]


def test_outcomes_are_counted_and_what_is_left_out_is_named():
    assert summary(REFERENCE) == "2 failed, 2 passed"
    assert left_out(REFERENCE) == ["m: 2 failed: no x"]


@pytest.mark.timeout(3600)
@pytest.mark.skipif("TURBOAPI_FASTAPI_SUITE" not in os.environ, reason="minutes long: set TURBOAPI_FASTAPI_SUITE=1")
def test_suite_passes_with_turboapi_as_with_fastapi():
    assert main([]) == 0
