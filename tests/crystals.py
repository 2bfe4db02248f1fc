"""Random crystals for tests, from the tables alone."""

import numpy as np

from jaxcrys.crystal import Crystal, build_crystal, stack_crystals
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
