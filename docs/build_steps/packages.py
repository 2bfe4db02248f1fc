"""A page for each package, from its docstrings: the modules in a table, then one by one."""

import importlib
import pkgutil
from pathlib import Path

import jaxcrys
from build_steps.files import write_if_changed

LEAVE_OUT = ("jaxcrys.cli", "jaxcrys.__main__")
"""The command line has a page of its own."""

PAGE = """\
# `{package}`

```{{eval-rst}}
.. automodule:: {package}
   :no-members:

.. list-table::
   :widths: auto
{rows}
```
"""

ROW = """
   * - :py:mod:`{name} <{module}>`
     - {about}\
"""

MODULE = """
## `{module}`

```{{eval-rst}}
.. automodule:: {module}
   :members:
   :special-members: __call__
   :exclude-members: replace
```
"""


def write(folder: Path) -> None:
    """Write the pages."""
    for package, modules in sorted(found().items()):
        rows = "".join(
            ROW.format(name=module.rpartition(".")[2], module=module, about=about(module))
            for module in modules
        )
        page = PAGE.format(package=package, rows=rows)
        page += "".join(MODULE.format(module=module) for module in modules)
        write_if_changed(folder / f"{package.removeprefix('jaxcrys.')}.md", page)


def about(module: str) -> str:
    """The first sentence of a module's docstring."""
    text = importlib.import_module(module).__doc__ or ""
    return " ".join(text.strip().split("\n\n")[0].split())


def found() -> dict[str, list[str]]:
    """The modules of each package, private ones left out."""
    packages: dict[str, list[str]] = {}
    for one in pkgutil.walk_packages(jaxcrys.__path__, "jaxcrys."):
        parent, _, name = one.name.rpartition(".")
        if one.name.startswith(LEAVE_OUT) or name.startswith("_"):
            continue
        if one.ispkg:
            packages.setdefault(one.name, [])
        else:
            packages.setdefault(parent, []).append(one.name)
    return packages
