"""Unsafe blocks, unwraps and lint allowances are argued.

Rule: each `unsafe` block or impl has a `SAFETY:` line close above; each file that has one stands in docs/unsafe.md,
and no other;
no `.unwrap()` outside of tests; each `allow(...)` gives its reason.

Run: `python scripts/check_unsafe.py [ROOT]`. Exit 1, and a line for each breach.
"""

from __future__ import annotations

import pathlib
import re
import sys

#: Lines above an `unsafe` in which its argument must begin.
NEAR = 8


def breaches(root: pathlib.Path) -> list[str]:
    """List what the tree at `root` (the folder with src/ and docs/) leaves unargued."""
    found = []
    listed = set(re.findall(r"^\| `(src/[^`]+)`", (root / "docs/unsafe.md").read_text(), flags=re.MULTILINE))
    has_unsafe = set()
    for path in sorted((root / "src").rglob("*.rs")):
        if path.name == "tests.rs":
            continue
        name = path.relative_to(root).as_posix()
        lines = path.read_text().splitlines()
        found += unargued(name, lines)
        if any(is_unsafe(line) for line in before_tests(lines)):
            has_unsafe.add(name)
    found += [f"{name}: has unsafe blocks and is not listed in docs/unsafe.md" for name in sorted(has_unsafe - listed)]
    found += [f"docs/unsafe.md: lists {name}, which has no unsafe block" for name in sorted(listed - has_unsafe)]
    return found


def before_tests(lines: list[str]) -> list[str]:
    """The lines above the inline test module, if there is one."""
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "#[cfg(test)]" and lines[number + 1].startswith("mod tests {"):
            return lines[:number]
    return lines


def is_unsafe(line: str) -> bool:
    """Say whether a line opens an unsafe block or impl."""
    return bool(re.search(r"\bunsafe\s*\{|\bunsafe impl\b", line.split("//")[0]))


def unargued(name: str, lines: list[str]) -> list[str]:
    """List what a file leaves unargued, line by line."""
    found = []
    lines = before_tests(lines)
    for number, line in enumerate(lines):
        code = line.split("//")[0]
        if is_unsafe(line) and not any("SAFETY:" in above for above in lines[max(0, number - NEAR) : number + 1]):
            found.append(f"{name}:{number + 1}: unsafe without SAFETY above")
        if ".unwrap()" in code:
            found.append(f"{name}:{number + 1}: unwrap outside of tests")
        if re.search(r"#!?\[allow\(", code) and "reason" not in "".join(lines[number : number + 5]):
            found.append(f"{name}:{number + 1}: allow without a reason")
    return found


def main() -> int:
    """Check the tree; gives the exit code."""
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent
    found = breaches(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
