"""Datasette on the database that `TURBOAPI_TEST_DATABASE` names: what `datasette serve --immutable` builds, as an ASGI app.

Immutable, and with wide limits: a busy machine else prints "many rows" for a count of over 10 ms, and fewer facets.
"""

import os

from datasette.app import Datasette

LIMITS = {
    "sql_time_limit_ms": 20_000,
    "facet_time_limit_ms": 20_000,
    "facet_suggest_time_limit_ms": 20_000,
    "max_csv_mb": 0,
}

app = Datasette(immutables=[os.environ["TURBOAPI_TEST_DATABASE"]], settings=LIMITS).app()
