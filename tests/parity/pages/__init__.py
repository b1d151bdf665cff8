"""The cases, one module per page of FastAPI's documentation."""
