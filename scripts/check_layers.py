"""The arrows of the design: which module may use which.

Rule: a module uses what its row names, and nothing else; monoio is named in `runtime` alone, pyo3 in the Python side
alone; no function of the sans-IO modules takes a `Python` token, and these modules forbid unsafe code.

Run: `python scripts/check_layers.py [ROOT]`. Exit 1, and a line for each breach.
"""

from __future__ import annotations

import pathlib
import re
import sys

#: Module → modules of this crate that it may use.
ARROWS: dict[str, set[str]] = {
    "bytes_ext": set(),
    "http1": {"bytes_ext"},
    "ws": {"bytes_ext"},
    "sse": {"bytes_ext"},
    "router": {"bytes_ext"},
    "static_cache": {"bytes_ext", "http1"},
    "service": {"bytes_ext", "http1", "ws", "sse", "router", "static_cache"},
    "error": {"http1"},
    "runtime": {"service", "http1", "ws", "bytes_ext", "error"},
    "interp": {"bytes_ext"},
    "json": {"interp"},
    "validate": {"json", "interp"},
    "home_loop": {"interp", "service"},
    "asgi": {"interp", "home_loop", "service", "http1", "ws", "bytes_ext", "error"},
    "pyclasses": {"interp", "service", "http1", "ws", "bytes_ext"},
    "isolated": {"interp", "service", "http1"},
    "dispatch": {
        "validate",
        "json",
        "interp",
        "home_loop",
        "asgi",
        "pyclasses",
        "service",
        "http1",
        "ws",
        "sse",
        "router",
        "static_cache",
        "bytes_ext",
        "error",
    },
    "server": {
        "runtime",
        "dispatch",
        "interp",
        "http1",
        "router",
        "static_cache",
        "service",
        "pyclasses",
        "json",
        "validate",
    },
}

SANS_IO = {"http1", "ws", "sse", "router", "static_cache"}
MAY_NAME_MONOIO = {"runtime"}
MAY_NAME_PYO3 = {"interp", "json", "validate", "home_loop", "dispatch", "asgi", "pyclasses", "isolated", "server"}


def breaches(root: pathlib.Path) -> list[str]:
    """List what breaks the arrows in a source folder."""
    found = []
    for path in sorted(root.rglob("*.rs")):
        relative = path.relative_to(root)
        module = relative.parts[0].removesuffix(".rs")
        if module == "lib":
            continue
        if module not in ARROWS:
            found.append(f"{relative}: module {module} has no row in the table of scripts/check_layers.py")
            continue
        code = "\n".join(re.sub(r"//.*", "", line) for line in path.read_text().splitlines())
        used = set(re.findall(r"\bcrate::(\w+)", code))
        for group in re.findall(r"\buse crate::\{([^;]*)\};", code):
            used |= set(re.findall(r"(?:^|,)\s*(\w+)", group))
        for other in sorted(used - ARROWS[module] - {module}):
            found.append(f"{relative}: {module} may not use {other}")
        if "monoio" in code and module not in MAY_NAME_MONOIO:
            found.append(f"{relative}: monoio is named outside of runtime")
        if re.search(r"\bpyo3\b|\bpyo3_ffi\b", code) and module not in MAY_NAME_PYO3:
            found.append(f"{relative}: pyo3 is named in {module}")
        if module in SANS_IO and re.search(r"\bPython<", code):
            found.append(f"{relative}: a Python token in a sans-IO module")
        is_module_root = relative.parts in ((f"{module}.rs",), (module, "mod.rs"))
        if module in SANS_IO and is_module_root and "#![forbid(unsafe_code)]" not in code:
            found.append(f"{relative}: a sans-IO module forbids unsafe code")
        if not path.read_text().startswith("//!"):
            found.append(f"{relative}: no module header")
    return found


def main() -> int:
    """Check the tree; gives the exit code."""
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src"
    found = breaches(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
