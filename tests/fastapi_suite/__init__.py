"""FastAPI's own tests, run with `FastAPI` and with `TurboAPI` in its place.

    python -m tests.fastapi_suite                # everything; minutes
    python -m tests.fastapi_suite tests/test_sse.py -- -x

Nothing of FastAPI's is kept in this repository: its source distribution is downloaded to a cache outside the checkout.
"""
