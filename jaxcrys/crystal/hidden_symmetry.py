"""Templates whose crystals all have a larger group than the template says.

Lithium on 4a, 4b and 8c of Fm-3m is the body-centred cubic lattice, Im-3m, whatever the cell. Such
a template is no template of its group. It is recognised by one crystal of it: free coordinates and
lattice at random, so that only what the template forces is there (found by spglib).
"""

import functools

import numpy as np

from jaxcrys.core.typing import Bool
from jaxcrys.crystal.convert import detect_group
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.groups import lattice_fixed, lattice_mask
from jaxcrys.symmetry.wyckoff import free_mask, multiplicity

SYMPREC = 1e-4
"""Å."""

VOLUME = 20.0
"""Å³ for each atom."""

STRAIN = 0.1
"""Standard deviation of the other lattice coefficients."""


def hides_symmetry(templates: Crystal) -> Bool[np.ndarray, "b"]:
    """Whether every crystal of each template has a group that is larger than that of the template.

    Args:
        templates: a batch; where not all elements are given, nothing is known, and False is said.

    Example:
        >>> from jaxcrys.crystal import build_crystal, stack_crystals
        >>> sites = [("a", 3), ("b", 3), ("c", 3)], [("a", 3), ("b", 16), ("c", 3)]
        >>> cell = (6, 6, 6, 90, 90, 90)
        >>> made = [build_crystal(225, [(z, w) for w, z in each], cell) for each in sites]
        >>> hides_symmetry(stack_crystals(made)).tolist()
        [True, False]
    """
    rows = zip(templates.group, templates.wyckoff, templates.species, strict=True)
    return np.array([_hides(*_kinds(*map(np.asarray, row))) for row in rows], bool)


def _kinds(
    group: np.ndarray, wyckoff: np.ndarray, species: np.ndarray
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Group and sorted sites of a template; elements by the order in which they occur, from 1."""
    sites = sorted((int(w), int(z)) for w, z in zip(wyckoff, species, strict=True) if w)
    if not all(z for _, z in sites):
        return int(group), ()
    kinds = {z: kind for kind, z in enumerate(dict.fromkeys(z for _, z in sites), 1)}
    return int(group), tuple((w, kinds[z]) for w, z in sites)


@functools.lru_cache(maxsize=100_000)
def _hides(group: int, sites: tuple[tuple[int, int], ...]) -> bool:
    if not sites:
        return False
    random = np.random.default_rng(0)
    wyckoff, species = np.array(sites).T
    free = np.where(free_mask(wyckoff), random.random((len(sites), 3)), 0)
    number = np.asarray(group)
    lattice = np.where(lattice_mask(number), random.normal(0, STRAIN, 6), lattice_fixed(number))
    # The last coefficient is ln(volume) / √3.
    lattice[5] = np.log(VOLUME * multiplicity(wyckoff).sum()) / np.sqrt(3)
    crystal = Crystal(number, wyckoff, species, free, lattice)
    return detect_group(crystal, SYMPREC) not in (group, 0)
