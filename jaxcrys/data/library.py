"""The templates of a dataset: which ones there are, how often, and in which rows (host side)."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.array_file import read_arrays
from jaxcrys.core.elements import anonymous_formula, parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import Int
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.template import Template, make_template, template_of


@dataclasses.dataclass(frozen=True, eq=False)
class Library:
    """The templates of a dataset.

    Attributes:
        templates: the most common first, then by label.
        size: number of crystals.
        mirror: whether mirror images count as one template.
    """

    templates: tuple[Template, ...]
    size: int
    mirror: bool = True

    @functools.cached_property
    def by_label(self) -> dict[str, Template]:
        """Templates by name."""
        return {template.label: template for template in self.templates}

    @functools.cached_property
    def by_group(self) -> dict[int, tuple[Template, ...]]:
        """Templates of each space group, the most common first."""
        found = collections.defaultdict(list)
        for template in self.templates:
            found[template.group].append(template)
        return {group: tuple(templates) for group, templates in found.items()}

    @functools.cached_property
    def by_formula(self) -> dict[str, tuple[Template, ...]]:
        """Templates of each anonymised formula, the most common first."""
        found = collections.defaultdict(list)
        for template in self.templates:
            found[template.formula].append(template)
        return {formula: tuple(templates) for formula, templates in found.items()}


def build_library(crystals: Crystal, *, mirror: bool = True) -> Library:
    """Collect the templates of a batch of crystals.

    Args:
        crystals: the dataset.
        mirror: count mirror images as one template, and enantiomorphic groups as one group.

    Raises:
        InputError: if ``crystals`` is not a batch, or empty.

    Example:
        >>> from jaxcrys.crystal import build_crystal, example_crystal, stack_crystals
        >>> periclase = build_crystal(225, [(8, "a"), (12, "b")], (4.2, 4.2, 4.2, 90, 90, 90))
        >>> library = build_library(stack_crystals([example_crystal(), periclase]))
        >>> [(template.label, template.count) for template in library.templates]
        [('AB_cF8_225_a_b', 2)]
        >>> library.by_formula["AB"][0].members.tolist()
        [0, 1]
    """
    if np.ndim(crystals.group) != 1 or not len(crystals.group):
        raise InputError("crystals", "expected a batch", "make one with stack_crystals")
    crystals = jax.tree.map(np.asarray, crystals)
    found: dict[str, tuple[list[int], list[tuple[int, ...]]]] = {}
    for row in range(len(crystals.group)):
        label, elements = template_of(take(crystals, row), mirror=mirror)
        members = found.setdefault(label, ([], []))
        members[0].append(row)
        members[1].append(elements)
    templates = [make_template(label, *members) for label, members in found.items()]
    return Library(_by_count(templates), len(crystals.group), mirror)


def _by_count(templates: Iterable[Template]) -> tuple[Template, ...]:
    return tuple(sorted(templates, key=lambda template: (-template.count, template.label)))


def rows_with_formula(library: Library, formula: str) -> Int[np.ndarray, "r"]:
    """Rows of the crystals of exactly this composition, whatever the number of formula units.

    Raises:
        InputError: if the formula cannot be read.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> library = build_library(stack_crystals([example_crystal()]))
        >>> [rows_with_formula(library, formula).tolist() for formula in ("Na2Cl2", "KCl")]
        [[0], []]
    """
    counts = parse_formula(formula)
    wanted = sorted((count, number) for number, count in counts.items())
    equal = [len(list(block)) for _, block in itertools.groupby(wanted, key=lambda pair: pair[0])]
    found = [np.zeros(0, np.int32)]
    for template in library.by_formula.get(anonymous_formula(sorted(counts.values())), ()):
        # Elements of equal amounts may stand in any order.
        blocks = np.split(template.elements, np.cumsum(equal)[:-1], axis=1)
        elements = np.concatenate([np.sort(block, axis=1) for block in blocks], axis=1)
        found.append(template.members[(elements == [number for _, number in wanted]).all(1)])
    return np.sort(np.concatenate(found))


def tabulate(library: Library, count: int | None = None) -> list[dict[str, Any]]:
    """The most common templates, a row each, with their share of the crystals.

    Args:
        library: the templates.
        count: how many rows; all by default.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> tabulate(build_library(stack_crystals([example_crystal()])))[0]["sites"]
        'A@4a B@4b'
    """
    return [
        {
            "label": template.label,
            "group": template.group,
            "formula": template.formula,
            "sites": template.describe_sites(),
            "count": template.count,
            "share": template.count / library.size,
        }
        for template in library.templates[:count]
    ]


def merge(first: Library, second: Library) -> Library:
    """The library of two datasets, the rows of the second after those of the first.

    Raises:
        InputError: if only one of them counts mirror images as one.
    """
    if first.mirror != second.mirror:
        raise InputError(
            "mirror", "one library tells mirror images apart, the other not", "build both alike"
        )
    templates = []
    for label in first.by_label | second.by_label:
        parts = [
            (library.by_label[label], start)
            for library, start in ((first, 0), (second, first.size))
            if label in library.by_label
        ]
        members = np.concatenate([template.members + start for template, start in parts])
        elements = np.concatenate([template.elements for template, _ in parts])
        templates.append(make_template(label, members, elements))
    return Library(_by_count(templates), first.size + second.size, first.mirror)


def save_library(path: Path | str, library: Library) -> None:
    """Write a library atomically, as plain arrays in a ``.npz`` file.

    Example:
        >>> import tempfile
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> path = Path(tempfile.mkdtemp()) / "library.npz"
        >>> save_library(path, build_library(stack_crystals([example_crystal()])))
        >>> load_library(path).templates[0].label
        'AB_cF8_225_a_b'
    """
    templates = library.templates
    arrays = {
        "label": np.array([template.label for template in templates], str),
        "count": np.array([template.count for template in templates], np.int32),
        "members": np.concatenate([template.members for template in templates]),
        "elements": np.concatenate([template.elements.ravel() for template in templates]),
        "mirror": np.array(library.mirror),
    }
    with atomic_path(path) as partial, partial.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def load_library(path: Path | str) -> Library:
    """Read what :func:`save_library` wrote.

    Raises:
        InputError: if the file is missing, damaged or of another kind.
    """
    arrays = read_arrays(path, "library")
    try:
        members, elements, mirror = (arrays[n] for n in ("members", "elements", "mirror"))
        counted = zip(arrays["label"].tolist(), arrays["count"].tolist(), strict=True)
        templates, row, entry = [], 0, 0
        for label, count in counted:
            width = len(make_template(label, [], []).sites)
            mine = elements[entry : entry + count * width].reshape(count, width)
            templates.append(make_template(label, members[row : row + count], mine))
            row, entry = row + count, entry + count * width
        return Library(tuple(templates), len(members), bool(mirror))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(str(path), f"is not a readable library ({error})") from error
