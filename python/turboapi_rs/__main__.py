"""`python -m turboapi_rs`: the same as `turboapi`."""

from turboapi_rs.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
