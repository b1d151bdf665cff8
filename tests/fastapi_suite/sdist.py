"""Gets FastAPI's source distribution and an environment in which its tests run.

Owns: the cache (`$XDG_CACHE_HOME/turboapi/fastapi_suite`), the download, the extra packages.
Rule: what is installed for the project wins; a package that cannot be had on this interpreter is left out and named.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import distributions, version
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "turboapi" / "fastapi_suite"

EXTRAS = (
    "coverage[toml]",
    "dirty-equals",
    "inline-snapshot",
    "pytest-codspeed",
    "pytest-xdist[psutil]",
    "httpx2",
    "PyJWT",
    "pwdlib[argon2]",
    "sqlmodel",
    "flask",
    "strawberry-graphql",
    "typer",
    "pyyaml",
    "orjson",
    "ujson",
    "pydantic-settings",
    "pydantic-extra-types",
    "trio",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-fastapi",
    "logfire",
    "sentry-sdk",
    "mypy",
    "ty",
    "python-slugify",
    "fastapi-cli",
)
"""What FastAPI's own `tests` dependency group asks for."""


def source() -> Path:
    """The unpacked source of the installed version of FastAPI."""
    release = version("fastapi")
    folder = CACHE / f"fastapi-{release}"
    if not (folder / "tests").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, f"fastapi=={release}", "-d", str(CACHE)], check=True)
        with tarfile.open(CACHE / f"fastapi-{release}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return folder


def environment() -> tuple[Path, list[str]]:
    """A Python that sees this one's packages and the extras; and the extras that could not be had."""
    tag = f"{sys.implementation.cache_tag}{'t' if 't' in sys.abiflags else ''}"
    folder = CACHE / f"venv-{tag}"
    python, missing = folder / "bin" / "python", folder / "missing.txt"
    if not missing.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        share_packages(python)
        constraints = folder / "constraints.txt"
        held = {found.name: found.version for found in distributions() if found.name != "turboapi_rs"}
        constraints.write_text("".join(f"{name}=={release}\n" for name, release in sorted(held.items())))
        failed = [extra for extra in EXTRAS if not install(python, constraints, extra)]
        missing.write_text("".join(f"{name}\n" for name in failed))
    share_packages(python)
    return python, missing.read_text().split()


def share_packages(python: Path) -> None:
    """Lets `python` see what this interpreter sees, after its own."""
    [site_packages] = (python.parent.parent / "lib").glob("python*/site-packages")
    stdlib = Path(os.__file__).parent
    shared = [path for path in sys.path if path and Path(path).is_dir() and not is_stdlib(Path(path), stdlib)]
    (site_packages / "shared.pth").write_text("\n".join(str(Path(path).resolve()) for path in shared) + "\n")


def is_stdlib(path: Path, stdlib: Path) -> bool:
    """True for the standard library's folders, and for the checkout itself: its `tests` would hide FastAPI's."""
    return path in (stdlib, stdlib / "lib-dynload") or (path / "tests" / "fastapi_suite").exists()


def install(python: Path, constraints: Path, extra: str) -> bool:
    """Installs one package; False when it cannot be had."""
    command = [str(python), "-m", "pip", "install", "-q", "--prefer-binary", "-c", str(constraints), extra]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
