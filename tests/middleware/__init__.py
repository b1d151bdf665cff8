"""Native middleware against Starlette's own classes."""
