"""Settings of Sphinx; what is generated is made first, by the scripts in ``build_steps``."""

import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from build_steps import command_line, notebooks, packages  # noqa: E402  (found there)

import jaxcrys  # noqa: E402  (asks for devices)

project = "jaxcrys"
author = "The jaxcrys developers"
copyright = author
version = release = jaxcrys.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "build_steps.mathml",
]
exclude_patterns = ["_build", "build_steps", "skeletons"]
html_theme = "furo"
html_math_renderer = "mathml"
html_title = "jaxcrys"
html_static_path = ["_static"]
html_css_files = ["jaxcrys.css"]
html_show_copyright = False
html_show_sphinx = False

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache" if os.environ.get("JAXCRYS_EXECUTE_NOTEBOOKS") == "1" else "off"
nb_execution_timeout = 1800
nb_execution_raise_on_error = True

# Plain words in docstrings of data, such as shape, are attributes of several classes.
suppress_warnings = ["ref.python"]
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88

command_line.write(HERE / "reference" / "generated" / "command_line.md")
packages.write(HERE / "reference" / "generated")
notebooks.write(HERE.parent / "notebooks", HERE / "_notebooks")


def setup(app: Any) -> None:
    """Show equations and types as they stand: their stars and bars are no markup."""
    app.connect("autodoc-process-docstring", quote_equations, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", name_arrays)
    app.connect("autodoc-process-docstring", quote_types, priority=600)  # after napoleon


def quote_types(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: Any) -> None:
    """Quote the type in each line of napoleon's that holds one."""
    for number, line in enumerate(lines):
        if match := re.fullmatch(r"(:vartype [^:]+: )(.*\S)\s*", line):
            lines[number] = f"{match[1]}``{match[2].strip('`')}``"


def quote_equations(
    _app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: Any
) -> None:
    """Make an indented block after a paragraph a literal one."""
    for number in range(len(lines) - 1, 1, -1):
        block = lines[number].startswith("    ") and not lines[number - 1].strip()
        before = lines[number - 2]
        if block and before.strip() and not before.startswith(" ") and not before.endswith("::"):
            lines[number - 1 : number] = ["", "::", ""]


def name_arrays(
    _app: Any, _what: str, _name: str, _obj: Any, _options: Any, signature: Any, returns: Any
) -> tuple[Any, Any]:
    """Call arrays of JAX by the name that everybody knows."""
    named = (text and text.replace("jaxlib._jax.Array", "Array") for text in (signature, returns))
    return tuple(named)  # type: ignore[return-value]
