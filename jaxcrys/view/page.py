"""The page as text: data, style, programs and plotly in one file that needs nothing else.

All data stands in one JSON element and reaches the page as text only. A policy in the page allows
no program but those written here, by their hashes, and no request to any address.
"""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

from jaxcrys.core.elements import SYMBOLS, atomic_number
from jaxcrys.core.radii import ATOMIC_RADII
from jaxcrys.symmetry.groups import symbol
from jaxcrys.view.crystal_card import Shown
from jaxcrys.view.table import Table

PROGRAMS = ("elements", "table", "structure", "pattern", "crystal", "page")
"""Files of ``web/``, in the order in which they build on each other."""


def page(
    title: str,
    table: Table,
    shown: Sequence[Shown],
    *,
    notes: Sequence[str],
    rejected: Sequence[dict[str, Any]],
) -> str:
    """The page of a set.

    Args:
        title: at the top.
        table: of all crystals.
        shown: what is shown of each.
        notes: sentences under the title.
        rejected: records that are no crystals, with id and reason.
    """
    from plotly.offline import get_plotlyjs

    data = {
        "title": title,
        "columns": [column._asdict() for column in table.columns],
        "rows": table.rows,
        "cards": [each.card or {"reason": each.reason} for each in shown],
        "symbols": {each.columns["group"]: _symbol(each.columns["group"]) for each in shown},
        "elements": _elements(shown),
        "allElements": SYMBOLS[1:],
    }
    plotly = get_plotlyjs()
    program = '"use strict";\n' + "\n".join(_web(f"{name}.js") for name in PROGRAMS)
    return Template(_web("page.html")).substitute(
        title=html.escape(title),
        policy=_policy(plotly, program),
        style=_web("page.css"),
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in notes),
        rejected=_rejected(rejected),
        data=_embedded(data),
        plotly=plotly,
        program=program,
    )


def _web(name: str) -> str:
    return resources.files("jaxcrys.view").joinpath("web", name).read_text("utf-8")


def _policy(*programs: str) -> str:
    """What the browser may run and load: these programs, and pictures made in the page."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in programs)
    allowed = " ".join(f"'sha256-{each.decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _embedded(data: Any) -> str:
    """JSON that ends no element of the page, whatever stands in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _symbol(group: int) -> str:
    return symbol(group) if 1 <= group <= 230 else ""


def _elements(shown: Sequence[Shown]) -> dict[str, dict[str, Any]]:
    """Jmol's colour and the radius in Å of each element that occurs."""
    from ase.data.colors import jmol_colors

    sites = (site for each in shown if each.card for site in each.card["sites"])
    numbers = sorted({atomic_number(site["element"]) for site in sites})
    found = {}
    for number in numbers:
        rgb = (jmol_colors[min(number, len(jmol_colors) - 1)] * 255).round().astype(int)
        colour = "#" + "".join(f"{part:02x}" for part in rgb)
        found[SYMBOLS[number]] = {
            "colour": colour, "radius": round(float(ATOMIC_RADII[number]), 2)
        }  # fmt: skip
    return found


def _rejected(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = (f"<li>{html.escape(row['id'])}: {html.escape(row['reason'])}</li>" for row in rows)
    what = "record is no crystal" if len(rows) == 1 else "records are no crystals"
    return (
        f"<details class='rejected'><summary>{len(rows)} {what} and left out"
        f"</summary><ul>{''.join(lines)}</ul></details>"
    )
