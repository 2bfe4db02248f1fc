"""What other installed packages add: recipes, potentials and datasets, by entry points.

A package names them in its ``pyproject.toml``, each in a group of its own::

    [project.entry-points."jaxcrys.recipes"]
    my_recipe = "my_package.my_recipe:RECIPE"

Nothing of a package is imported before its name is asked for. Names that jaxcrys has itself are
looked up first, so that none of them can be replaced.
"""

import functools
from importlib.metadata import entry_points
from typing import Any

from jaxcrys.core.errors import InputError

RECIPES = "jaxcrys.recipes"
"""Group of :class:`jaxcrys.recipes.Recipe`."""

POTENTIALS = "jaxcrys.potentials"
"""Group of functions without arguments that give a potential."""

DATASETS = "jaxcrys.datasets"
"""Group of :class:`jaxcrys.data.public.PublicDataset`."""


def plugin_names(group: str) -> tuple[str, ...]:
    """Names that installed packages register in a group; nothing is imported.

    Example:
        >>> plugin_names("jaxcrys.of_nobody")
        ()
    """
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def has_plugin(group: str, name: str) -> bool:
    """Whether an installed package registers this name.

    Example:
        >>> has_plugin(RECIPES, "unheard_of")
        False
    """
    return bool(entry_points(group=group, name=name))


@functools.cache
def load_plugin(group: str, name: str, kind: type | None = None) -> Any:
    """Import what a package registers under a name.

    Args:
        group: one of the groups above.
        name: that is registered.
        kind: what it must be; a function if None.

    Raises:
        InputError: naming the distribution, if it cannot be imported, is something else, or if
            several distributions register the name.
    """
    points, owners = tuple(entry_points(group=group, name=name)), owners_of(group, name)
    if len(points) != 1:
        problem = f"is registered in {group} by {owners or 'no package'}"
        raise InputError(name, problem, "have one installed that does")
    try:
        found = points[0].load()
    except Exception as error:  # whatever a package raises while it is imported
        raise InputError(
            name, f"cannot be loaded from {owners} ({type(error).__name__}: {error})",
            f"mend or uninstall {owners}",
        ) from error  # fmt: skip
    if not (callable(found) if kind is None else isinstance(found, kind)):
        wanted = "function" if kind is None else kind.__name__
        problem = f"of {owners} is no {wanted} but a {type(found).__name__}"
        raise InputError(name, problem, f"ask its authors: {points[0].value} must be one")
    return found


def owners_of(group: str, name: str) -> str:
    """The distributions that register a name, for messages.

    Example:
        >>> owners_of("console_scripts", "pytest")
        'pytest'
    """
    points = entry_points(group=group, name=name)
    return " and ".join(
        sorted(point.dist.name if point.dist is not None else point.value for point in points)
    )
