"""What the reports of the thread sanitizer come to.

    python scripts/sanitizer_reports.py FILE NAME

Owns: telling reports of ours from those of the interpreter alone. Does not own: suppressions (`tsan.supp`).
Rule: a report with a frame of this project counts; one without is the interpreter's own, and is counted and named.
"""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path

OURS = re.compile(r"turboapi|_core\.cpython|src/(?:runtime|dispatch|interp|home_loop|asgi|service|isolated|pyclasses)/")

SHOWN = 5
"""Different reports that are printed whole."""


def split(text: str) -> list[str]:
    """Take a log apart."""
    pieces = re.split(r"(?=^WARNING: ThreadSanitizer)", text, flags=re.MULTILINE)
    return [piece for piece in pieces if piece.startswith("WARNING: ThreadSanitizer")]


def frames(report: str) -> list[str]:
    """Give the functions of a stack, innermost first."""
    return re.findall(r"^\s+#\d+ (?:0x[0-9a-f]+ in )?(.+)$", report, flags=re.MULTILINE)


def is_ours(report: str) -> bool:
    """Whether one of the two accesses was made by the extension: it is in one of the three innermost frames."""
    stacks = re.split(r"\n\s*\n", report)
    return any(OURS.search(frame) for stack in stacks[:2] for frame in frames(stack)[:3])


def place(report: str) -> str:
    """Name a report by the innermost frames of its first two stacks."""
    stacks = [found for stack in re.split(r"\n\s*\n", report) if (found := frames(stack))]
    return " / ".join(stack[0].split(" (")[0][:90] for stack in stacks[:2])


def main() -> int:
    """Count, print, judge."""
    reports = split(Path(sys.argv[1]).read_text(errors="replace"))
    ours = [report for report in reports if is_ours(report)]
    others = collections.Counter(place(report) for report in reports if not is_ours(report))
    print(f"{sys.argv[2]}: {len(ours)} reports of ours, {sum(others.values())} of the interpreter alone")
    for name, count in others.most_common():
        print(f"  the interpreter's: {count} x {name}")
    for name, count in collections.Counter(map(place, ours)).most_common():
        print(f"  OURS: {count} x {name}")
    shown = {place(report): report for report in reversed(ours)}
    for report in list(shown.values())[:SHOWN]:
        print(report)
    return 1 if ours else 0


if __name__ == "__main__":
    raise SystemExit(main())
