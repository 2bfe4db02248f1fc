"""Equations as MathML, which browsers draw themselves: pages need no network and no program."""

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls for an extension."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an equation within a line."""
    translator.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def visit_display(translator: Any, node: nodes.math_block) -> None:
    """Write an equation of its own."""
    translator.body.append(f'<div class="equation">{mathml(node, "block")}</div>')
    raise nodes.SkipNode


def mathml(node: nodes.Element, display: str) -> str:
    """The equation of a node; a command that the converter does not know is warned of."""
    found = convert(node.astext(), display=display)
    if unknown := re.findall(r"\\[a-zA-Z]+", html.unescape(found)):
        logger.warning("unknown in an equation: %s", ", ".join(unknown), location=node)
    return found
