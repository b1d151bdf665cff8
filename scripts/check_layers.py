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
    "invariants": set(),
    "sync": set(),
    "bytes_ext": set(),
    "http1": {"bytes_ext"},
    "ws": {"bytes_ext"},
    "sse": {"bytes_ext"},
    "router": {"bytes_ext"},
    "multipart": {"bytes_ext"},
    "static_cache": {"bytes_ext", "http1"},
    "middleware": {"bytes_ext", "http1"},
    "files": {"bytes_ext", "http1"},
    "service": {"bytes_ext", "http1", "ws", "sse", "router", "static_cache"},
    "error": {"http1"},
    "runtime": {"service", "http1", "ws", "bytes_ext", "error"},
    "interp": {"bytes_ext"},
    "json": {"interp"},
    "validate": {"json", "interp"},
    "home_loop": {"interp", "service"},
    "asgi": {"interp", "home_loop", "service", "http1", "ws", "bytes_ext", "error"},
    "pyclasses": {"interp", "service", "middleware", "http1", "ws", "bytes_ext"},
    "isolated": {"dispatch", "asgi", "interp", "service", "static_cache"},
    "dispatch": {
        "validate",
        "json",
        "interp",
        "home_loop",
        "asgi",
        "pyclasses",
        "service",
        "middleware",
        "http1",
        "ws",
        "sse",
        "files",
        "multipart",
        "router",
        "static_cache",
        "bytes_ext",
        "error",
    },
    "server": {
        "asgi",
        "files",
        "multipart",
        "runtime",
        "isolated",
        "dispatch",
        "home_loop",
        "interp",
        "middleware",
        "http1",
        "router",
        "static_cache",
        "service",
        "pyclasses",
        "json",
        "validate",
    },
}

#: What every module may use.
EVERYWHERE = {"invariants", "sync"}

SANS_IO = {"http1", "middleware", "multipart", "ws", "sse", "router", "static_cache"}
MAY_NAME_MONOIO = {"runtime"}
MAY_NAME_PYO3 = {"interp", "json", "validate", "home_loop", "dispatch", "asgi", "pyclasses", "isolated", "server"}


def breaches(root: pathlib.Path) -> list[str]:
    """List what breaks the arrows in a source folder."""
    found = []
    for path in sorted(root.rglob("*.rs")):
        relative = path.relative_to(root)
        module = relative.parts[0].removesuffix(".rs")
        text = path.read_text()
        code = without_comments(text)
        if not text.startswith("//!"):
            found.append(f"{relative}: no module header")
        if module == "lib":
            if re.search(r"\b(fn|struct|enum|trait|impl)\b", code):
                found.append(f"{relative}: lib.rs is the module map, nothing else")
            continue
        if module not in ARROWS:
            found.append(f"{relative}: module {module} has no row in the table of scripts/check_layers.py")
            continue
        for other in sorted(modules_used(code, depth=len(relative.parts)) - ARROWS[module] - EVERYWHERE - {module}):
            found.append(f"{relative}: {module} may not use {other}")
        if re.search(r"\bmonoio\b", code) and module not in MAY_NAME_MONOIO:
            found.append(f"{relative}: monoio is named outside of runtime")
        if re.search(r"\bpyo3(_ffi)?\b", code) and module not in MAY_NAME_PYO3:
            found.append(f"{relative}: pyo3 is named in {module}")
        if module in SANS_IO and re.search(r"\bPython<", code):
            found.append(f"{relative}: a Python token in a sans-IO module")
        is_module_root = relative.parts in ((f"{module}.rs",), (module, "mod.rs"))
        if module in SANS_IO and is_module_root and "#![forbid(unsafe_code)]" not in code:
            found.append(f"{relative}: a sans-IO module forbids unsafe code")
    return found


def without_comments(text: str) -> str:
    """Drop comments and the insides of strings that name things only in words."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return "\n".join(re.sub(r"//.*", "", line) for line in text.splitlines())


def modules_used(code: str, *, depth: int) -> set[str]:
    """Name the modules of this crate that a file reaches, by `crate::` or by climbing out with `super::`.

    Args:
        code: the file, without comments.
        depth: parts of its path below the source folder; `src/sse.rs` has 1, `src/http1/conn.rs` has 2.
    """
    used = set()
    climb = "(?:super::){" + str(depth) + ",}"
    for match in re.finditer(rf"(?:\bcrate::|\b{climb})(\w+|{{)", code):
        used |= {match[1]} if match[1] != "{" else _heads_of_group(code, match.end())
    return used - {"self"}


def _heads_of_group(code: str, start: int) -> set[str]:
    """First names of a `{a, b::c, d::{e, f}}`; `start` is behind its opening brace."""
    heads, level, name = set(), 1, ""
    for character in code[start:]:
        level += (character == "{") - (character == "}")
        if level == 0 or (level == 1 and character == ","):
            heads.add(re.split(r"::|\sas\s", name.strip())[0].strip())
            name = ""
            if level == 0:
                break
        else:
            name += character
    return heads - {""}


def main() -> int:
    """Check the tree; gives the exit code."""
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src"
    found = breaches(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
