"""PARITY.md: a row a case, the headers left out, the known differences.

Owns: the text. Does not own: the verdicts (`referee`).
"""

from __future__ import annotations

from collections.abc import Sequence

from .compare import EXPIRES_RULE, GZIP_RULE, IGNORED_HEADERS, KNOWN_DIFFERENCES, LENGTH_RULE
from .referee import Verdict

HEAD = """\
# Parity with FastAPI

Made by `make parity`; do not edit. The same apps under {reference} and under this server, the same bytes in over real
sockets; status, headers and body bytes compared. `direct`: the request ran as a compiled call plan; `asgi`: through
the ASGI host.

{green} of {total} cases are the same, {known} differ for a known reason, {red} are red.
{direct} ({share:.0%}) ran `direct`.
"""


def markdown(verdicts: Sequence[Verdict], reference: str) -> str:
    """The whole file."""
    red = [v for v in verdicts if v.is_red]
    known = [v for v in verdicts if v.fault is not None and not v.is_red]
    direct = sum(v.served == "direct" for v in verdicts)
    parts = [
        HEAD.format(
            reference=reference,
            green=len(verdicts) - len(red) - len(known),
            total=len(verdicts),
            known=len(known),
            red=len(red),
            direct=direct,
            share=direct / max(1, len(verdicts)),
        )
    ]
    if red:
        parts.append(
            "## Red\n\n"
            + "\n".join(f"- `{v.case.id}`: {v.fault or 'is the same, but listed as different'}" for v in red)
            + "\n"
        )
    parts.append(f"## Known differences\n\n{known_table()}")
    parts.append(f"## Headers that are not compared\n\n{header_table()}")
    parts.append(f"## Cases\n\n{case_table(verdicts)}")
    return "\n".join(parts)


def known_table() -> str:
    """The known differences, or that there are none."""
    if not KNOWN_DIFFERENCES:
        return "None.\n"
    return table(("case", "reason"), [(f"`{name}`", why) for name, why in KNOWN_DIFFERENCES.items()])


def header_table() -> str:
    """The headers left out, with reasons."""
    return (
        table(("header", "reason"), [(f"`{name}`", why) for name, why in IGNORED_HEADERS.items()])
        + f"\n{LENGTH_RULE}.\n\n{GZIP_RULE}.\n\n{EXPIRES_RULE}.\n"
    )


def case_table(verdicts: Sequence[Verdict]) -> str:
    """A row a case."""
    rows = []
    for verdict in verdicts:
        first = verdict.case.requests[0]
        more = f" (+{len(verdict.case.requests) - 1})" if len(verdict.case.requests) > 1 else ""
        target = first.target if len(first.target) <= 60 else first.target[:57] + "…"
        statuses = " ".join(map(str, verdict.statuses))
        result = "red" if verdict.is_red else "known" if verdict.fault else "same"
        rows.append(
            (verdict.case.page, verdict.case.name, f"`{first.method} {target}`{more}", statuses, result, verdict.served)
        )
    return table(("page", "case", "request", "status", "result", "served"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
