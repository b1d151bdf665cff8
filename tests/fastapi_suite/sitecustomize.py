"""Puts TurboAPI in FastAPI's place in every interpreter that FastAPI's tests start, copied beside them.

`from fastapi import FastAPI` gives TurboAPI, and so does `fastapi.applications.FastAPI`, from the moment that `fastapi` is
imported: by a test, by what a test imports, or in a process that a test starts. FastAPI is not imported earlier for it.
Reads `TURBOAPI_SUITE_APP`. Stands alone: FastAPI's tests are a package called `tests`, and ours must not be imported before it.
"""

import importlib.util
import os
import sys


class Substitution:
    """Finds `fastapi` as everybody would, and adds a step behind its import."""

    def find_spec(self, name, path=None, target=None):
        if name != "fastapi":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("fastapi")
        execute = spec.loader.exec_module

        def execute_and_substitute(module):
            execute(module)
            from turboapi_rs.app import TurboAPI

            module.FastAPI = module.applications.FastAPI = TurboAPI

        spec.loader.exec_module = execute_and_substitute
        return spec


if os.environ.get("TURBOAPI_SUITE_APP") == "turboapi":
    sys.meta_path.insert(0, Substitution())
