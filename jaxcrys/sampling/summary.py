"""A generated set in a few lines of text."""

from collections.abc import Sequence
from typing import Any

from jaxcrys.sampling.report import OK, SYMPRECS
from jaxcrys.symmetry.groups import symbol
from jaxcrys.symmetry.subgroups import is_subgroup


def summary(rows: Sequence[dict[str, Any]], *, limit: int = 32) -> str:
    """A table of the first rows, and counts over all of them.

    Args:
        rows: rows of the result table.
        limit: how many to show.
    """
    header = ("id", "formula", "group", "found", "atoms", "dof", "d/Å", "g/cm³", "wyckoff")
    table = [header, *(_cells(row) for row in rows[:limit])]
    widths = [max(len(line[i]) for line in table) for i in range(len(header) - 1)]
    lines = [
        "  ".join(f"{c:<{w}}" for c, w in zip(line, [*widths, 0], strict=True)) for line in table
    ]
    if len(rows) > limit:
        lines.append(f"… and {len(rows) - limit} more")
    good = [row for row in rows if row["status"] == OK]
    lines.append(f"{len(good)} of {len(rows)} have a unit cell")
    for symprec in SYMPRECS:
        pairs = [(int(row["group"]), int(row[f"group_{symprec}"])) for row in good]
        kept = sum(asked == found for asked, found in pairs)
        more = sum(is_subgroup(*pair) for pair in pairs if pair[1] and pair[0] != pair[1])
        by_accident = f", a supergroup in {more}" if more else ""
        lines.append(
            f"space group found as asked at symprec {symprec}: {kept} of {len(good)}{by_accident}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    group = int(row["group"])
    asked = f"{symbol(group)} ({group})"
    if row["status"] != OK:
        return (row["id"], "-", asked, "-", "-", "-", "-", "-", row["status"])
    return (
        str(row["id"]),
        str(row["formula"]),
        asked,
        str(row[f"group_{SYMPRECS[-1]}"]),
        str(row["atoms"]),
        str(row["dof"]),
        f"{float(row['shortest_distance']):.2f}",
        f"{float(row['density']):.2f}",
        str(row["wyckoff"]),
    )
