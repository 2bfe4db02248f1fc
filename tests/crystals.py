"""Random crystals for tests, from the tables alone."""

import numpy as np

from jaxcrys.crystal import Crystal, build_crystal, expand, num_atoms, stack_crystals
from jaxcrys.geometry import shortest_distance
from jaxcrys.symmetry import crystal_family, load_tables, positions_of

GROUPS = (1, 2, 12, 14, 62, 63, 71, 139, 148, 166, 194, 216, 221, 225, 227, 229)
ANGLES = {
    "triclinic": (82, 95, 103),
    "monoclinic": (90, 101, 90),
    "hexagonal": (90, 90, 120),
}


def random_parameters(group: int, random: np.random.Generator) -> tuple[float, ...]:
    """Lattice parameters that the group allows."""
    family = crystal_family(group)
    a, b, c = random.uniform(4, 9, 3)
    if family in ("tetragonal", "hexagonal"):
        b = a
    if family == "cubic":
        b = c = a
    return (a, b, c, *ANGLES.get(family, (90, 90, 90)))


def random_crystal(
    random: np.random.Generator, *, group: int | None = None, sites: int = 3, most_atoms: int = 24
) -> Crystal:
    """A crystal of one of a few groups, on its smaller positions."""
    tables = load_tables()
    group = int(random.choice(GROUPS)) if group is None else group
    small = [i for i in positions_of(group) if tables.position_multiplicity[i] <= most_atoms]
    ids = random.choice(small or [positions_of(group)[0]], random.integers(1, sites + 1))
    ids = [i for n, i in enumerate(ids) if tables.position_dof[i] or i not in ids[:n]]
    chosen = [
        (int(random.integers(1, 90)), str(tables.position_letter[i]),
         tuple(random.random(tables.position_dof[i])))
        for i in ids
    ]  # fmt: skip
    return build_crystal(group, chosen, random_parameters(group, random), capacity=sites)


def random_crystals(count: int, *, sites: int = 3, seed: int = 0) -> Crystal:
    """A batch of random crystals."""
    random = np.random.default_rng(seed)
    return stack_crystals([random_crystal(random, sites=sites) for _ in range(count)])


def spaced_crystal(
    random: np.random.Generator, *, group: int, sites: int = 3, most_atoms: int = 24
) -> Crystal:
    """A random crystal whose atoms keep 0.6 Å apart, on large cells so that one is soon found."""
    while True:
        crystal = random_crystal(random, group=group, sites=sites, most_atoms=most_atoms)
        crystal.lattice[5] += 0.5
        cell = expand(crystal, capacity=int(num_atoms(crystal)))
        if shortest_distance(cell.frac, cell.lattice, cell.mask) > 0.6:
            return crystal


def exact_crystal(random: np.random.Generator, *, group: int, sites: int = 3) -> Crystal:
    """A crystal whose group is no accident: one site, of its own element, is general.

    Its atoms keep 0.4 Å apart, so that symmetry finders tell them apart.
    """
    tables = load_tables()
    ids = np.asarray(positions_of(group))
    while True:
        chosen = np.append(random.choice(ids, sites - 1), ids[-1])
        chosen = [i for n, i in enumerate(chosen) if tables.position_dof[i] or i not in chosen[:n]]
        elements = [*random.choice([8, 11, 14], len(chosen) - 1), 79]
        crystal = build_crystal(
            group,
            [
                (
                    int(z),
                    str(tables.position_letter[i]),
                    tuple(random.random(tables.position_dof[i])),
                )
                for z, i in zip(elements, chosen, strict=True)
            ],
            2 * np.array(random_parameters(group, random)) * [1, 1, 1, 0.5, 0.5, 0.5],
        )
        cell = expand(crystal, capacity=int(num_atoms(crystal)))
        if shortest_distance(cell.frac, cell.lattice, cell.mask) > 0.4:
            return crystal
