"""Every case under uvicorn and under this server: the answers are the same.

A differing case is a bug, or a row of `compare.KNOWN_DIFFERENCES`. `python -m tests.parity` says the same. With
`TURBOAPI_TEST_ISOLATION=processes` each app has processes of its own.
"""

from collections.abc import Iterator

import pytest

from tests.conftest import ISOLATION

from .case import Case
from .referee import APP_BY_APP, OURS, Side, all_cases, app_by_app, judge, sides

SERVER = OURS[ISOLATION]
CASES = app_by_app(all_cases()) if SERVER in APP_BY_APP else all_cases()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Side, Side]]:
    """Both servers with every app."""
    with sides(CASES, "uvicorn", SERVER) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_answers_are_the_same(case: Case, servers: tuple[Side, Side]):
    verdict = judge(case, *servers)
    assert not verdict.is_red, verdict.fault or "is the same, but listed as different"


def test_nine_of_ten_cases_run_as_call_plans(servers: tuple[Side, Side]):
    _, ours = servers
    asgi = [case.id for case in CASES if ours.how_served(case)[0] != "direct"]
    assert len(asgi) <= 0.1 * len(CASES), asgi
