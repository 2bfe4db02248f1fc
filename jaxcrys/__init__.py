"""jaxcrys: symmetry-constrained generation of crystals in JAX.

Subpackages load when they are first touched, so that ``import jaxcrys`` costs nothing and no
device is queried by it:

>>> import jaxcrys
>>> jaxcrys.symmetry.symbol(225)
'Fm-3m'
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxcrys.core.versions import check_versions

if TYPE_CHECKING:
    from jaxcrys import (
        core,
        crystal,
        data,
        evaluation,
        geometry,
        nn,
        parallel,
        processes,
        recipes,
        sampling,
        symmetry,
        training,
    )

__version__ = "0.1.0"

_SUBPACKAGES = (
    "core",
    "crystal",
    "data",
    "evaluation",
    "geometry",
    "nn",
    "parallel",
    "processes",
    "recipes",
    "sampling",
    "symmetry",
    "training",
)

check_versions()


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"jaxcrys.{name}")
    raise AttributeError(f"module 'jaxcrys' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_SUBPACKAGES]
