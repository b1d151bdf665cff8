"""Applications that other people wrote, unmodified, under this server: Datasette, Starlette, Django."""
