"""FastAPI's own tests pass with TurboAPI as they pass with FastAPI. Minutes long: only where `TURBOAPI_FASTAPI_SUITE` is set."""

import os

import pytest

from .__main__ import lost, main, summary

pytestmark = pytest.mark.once


def test_what_passes_in_one_only_is_found():
    assert lost({"a": "passed", "b": "failed", "c": "passed"}, {"a": "passed", "b": "passed", "c": "failed"}) == ["c"]
    assert summary({"a": "passed", "b": "failed", "c": "passed"}) == "1 failed, 2 passed"


@pytest.mark.timeout(3600)
@pytest.mark.skipif("TURBOAPI_FASTAPI_SUITE" not in os.environ, reason="minutes long: set TURBOAPI_FASTAPI_SUITE=1")
def test_suite_passes_with_turboapi_as_with_fastapi():
    assert main([]) == 0
