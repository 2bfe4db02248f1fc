"""Templates by brute force, from pyxtal's multiplicities: nested loops, nothing clever."""

import functools
import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from pyxtal.symmetry import Group

GROUPS = (1, 2, 10, 12, 47, 65, 99, 115, 123, 139, 166, 175, 191, 194, 216, 221, 225, 227, 229)
CENTRING = {"P": 1, "A": 2, "C": 2, "I": 2, "R": 3, "F": 4}


@functools.cache
def letters(group):
    """Multiplicity and degrees of freedom of each position, letter a first."""
    return tuple((int(p.multiplicity), int(p.get_dof())) for p in Group(group))[::-1]


@functools.cache
def lattice_points(group):
    return CENTRING[Group(group).symbol[0]]


@functools.cache
def occupations(group, atoms, first=0):
    """All numbers of orbits on each position from ``first`` on that make so many atoms."""
    if first == len(letters(group)):
        return [()] if atoms == 0 else []
    size, dof = letters(group)[first]
    most = atoms // size if dof else min(1, atoms // size)
    return [
        (number, *rest)
        for number in range(most + 1)
        for rest in occupations(group, atoms - number * size, first + 1)
    ]


def all_templates(group, numbers, atoms, max_sites=None):
    """Set of all sorted tuples of (position, atomic number) with these atoms per cell."""
    dofs = [dof for _, dof in letters(group)]
    found = set()
    for chosen in itertools.product(*(occupations(group, n) for n in atoms)):
        totals = [sum(column) for column in zip(*chosen, strict=True)]
        if any(total > 1 and not dof for total, dof in zip(totals, dofs, strict=True)):
            continue
        if max_sites is None or sum(totals) <= max_sites:
            sites = Counter()
            for number, orbits in zip(numbers, chosen, strict=True):
                sites.update({(i, number): n for i, n in enumerate(orbits) if n})
            found.add(tuple(sorted(sites.elements())))
    return found


@dataclass(frozen=True)
class Case:
    """A formula, a group, a choice of Z and a limit, small enough for brute force."""

    counts: dict
    group: int
    units: tuple
    primitive: bool
    max_sites: int | None

    @property
    def arguments(self):
        return self.counts, self.group, self.units

    @property
    def limits(self):
        return {"primitive": self.primitive, "max_sites": self.max_sites}

    def atoms(self, unit):
        """Atoms of each element in the conventional cell, by ascending atomic number."""
        times = lattice_points(self.group) if self.primitive else 1
        return [times * unit * self.counts[number] for number in sorted(self.counts)]

    @functools.cached_property
    def by_unit(self):
        return {
            unit: all_templates(self.group, sorted(self.counts), self.atoms(unit), self.max_sites)
            for unit in self.units
        }

    @functools.cached_property
    def templates(self):
        return set().union(*self.by_unit.values())

    def work(self):
        return sum(
            math.prod(len(occupations(self.group, n)) for n in self.atoms(unit))
            for unit in self.units
        )


def random_case(group, rng):
    """A random case of a group, of a size that loops can do."""
    while True:
        numbers = rng.choice(np.arange(1, 90), rng.integers(1, 4), replace=False).tolist()
        primitive = bool(rng.random() < 0.5)
        highest = 4 if primitive else 4 * lattice_points(group)
        case = Case(
            counts={number: int(rng.integers(1, 5)) for number in numbers},
            group=group,
            units=tuple(sorted(set(rng.integers(1, highest + 1, rng.integers(1, 4)).tolist()))),
            primitive=primitive,
            max_sites=int(rng.integers(1, 6)) if rng.random() < 0.5 else None,
        )
        small = all(sum(case.atoms(u)) <= 10 * lattice_points(group) for u in case.units)
        if small and case.work() <= 3000:
            return case
