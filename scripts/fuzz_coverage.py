"""Which functions of the library a fuzz target has run, and which it has not.

    python scripts/fuzz_coverage.py LOG TARGET > REPORT

Reads what a target printed under libFuzzer's `-print_coverage=1`, over a corpus. The report has a line for each file,
and below it one for each function whose edges were not all taken. Its last line is the sum.

Owns: telling the library's own functions from those of other crates. Does not own: running the target (`campaign.sh`).
Rule: what was derived (`Debug` and the like) is counted as any other function is; nothing is left out.
"""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(
    r"^(?:UN)?COVERED_FUNC: hits: (?P<hits>\d+) edges: (?P<taken>\d+)/(?P<edges>\d+) "
    r"(?P<name>.+) (?P<file>\S+):(?P<line>\d+)$"
)


class Function(NamedTuple):
    """One function of the library: edges that were taken, of how many."""

    name: str
    file: str
    line: int
    taken: int
    edges: int


def read(log: str, root: str) -> list[Function]:
    """Take the functions of the library out of a log; `root` is the checkout that the target was built in."""
    sources = root.rstrip("/") + "/src/"
    found = []
    for text in log.splitlines():
        match = LINE.match(text)
        if match and match["file"].startswith(sources):
            file = "src/" + match["file"].removeprefix(sources)
            taken = int(match["taken"]) if int(match["hits"]) else 0
            found.append(Function(match["name"], file, int(match["line"]), taken, int(match["edges"])))
    return found


def report(target: str, functions: list[Function]) -> str:
    """Tell of each file what was taken of it."""
    by_file = collections.defaultdict(list)
    for function in functions:
        by_file[function.file].append(function)
    lines = []
    for file, inside in sorted(by_file.items()):
        lines.append(f"{file}: {_sum(inside)}")
        for function in sorted(inside, key=lambda function: function.line):
            if function.taken < function.edges:
                said = f"{function.taken}/{function.edges}" if function.taken else "never"
                lines.append(f"  {function.line:5} {said:>9} {function.name}")
    return "\n".join([*lines, f"{target}: {_sum(functions)}"])


def _sum(functions: list[Function]) -> str:
    run = sum(function.taken > 0 for function in functions)
    taken, edges = sum(function.taken for function in functions), sum(function.edges for function in functions)
    return f"{run} of {len(functions)} functions, {taken} of {edges} edges"


def main() -> int:
    """Print the report; 1 if the log tells of no function of the library."""
    _, log, target = sys.argv
    functions = read(Path(log).read_text(errors="replace"), str(Path(__file__).resolve().parents[1]))
    print(report(target, functions))
    return not functions


if __name__ == "__main__":
    sys.exit(main())
