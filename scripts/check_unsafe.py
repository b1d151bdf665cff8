"""Unsafe blocks, unwraps and lint allowances are argued.

Rule: each `unsafe` block or impl has a `SAFETY:` line close above; each file that has one stands in docs/unsafe.md;
no `.unwrap()` outside of tests; each `allow(...)` gives its reason.

Run: `python scripts/check_unsafe.py`. Exit 1, and a line for each breach.
"""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
#: Lines above an `unsafe` in which its argument must begin.
NEAR = 8


def breaches(path: pathlib.Path, listed: str) -> list[str]:
    """List what a file leaves unargued."""
    found = []
    name = path.relative_to(ROOT).as_posix()
    lines = path.read_text().splitlines()
    has_unsafe = False
    for number, line in enumerate(lines):
        if line.strip() == "#[cfg(test)]" and number + 1 < len(lines) and lines[number + 1].startswith("mod tests {"):
            break
        code = line.split("//")[0]
        if re.search(r"\bunsafe\s*\{|\bunsafe impl\b", code):
            has_unsafe = True
            if not any("SAFETY:" in above for above in lines[max(0, number - NEAR) : number]):
                found.append(f"{name}:{number + 1}: unsafe without SAFETY above")
        if ".unwrap()" in code:
            found.append(f"{name}:{number + 1}: unwrap outside of tests")
        if re.search(r"#!?\[allow\(", code) and "reason" not in "".join(lines[number : number + 5]):
            found.append(f"{name}:{number + 1}: allow without a reason")
    if has_unsafe and name not in listed:
        found.append(f"{name}: has unsafe blocks and is not listed in docs/unsafe.md")
    return found


def main() -> int:
    """Check the tree; gives the exit code."""
    listed = (ROOT / "docs/unsafe.md").read_text()
    found = []
    for path in sorted((ROOT / "src").rglob("*.rs")):
        if path.name != "tests.rs":
            found += breaches(path, listed)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
