"""A whole FastAPI application: users, items, files, a database. Served by any ASGI server, unmodified."""
