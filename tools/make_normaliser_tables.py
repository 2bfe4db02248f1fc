"""Make ``jaxcrys/symmetry/data/normalisers.npz``: all equivalent descriptions of the 230 groups.

    python tools/make_normaliser_tables.py [--check]

A description is an affine change of coordinates x' = P x + p, with integer P of determinant ±1,
that maps a space group in its standard setting to itself: an element of its affine normaliser,
taken modulo the group. The 22 groups that come in enantiomorphic pairs have, besides, the changes
that map the group to its partner. The tables are computed from ``wyckoff.npz`` alone:

* linear parts are tried in turn: the signed permutations of the axes where a, b, c are orthogonal,
  the twelve-fold prism's 24 matrices on hexagonal axes, and small matrices where the normaliser is
  infinite: all changes of the monoclinic a and c, and of the triclinic basis;
* for each, every origin shift in multiples of 1/24 that solves the conjugation equations is kept;
  along polar axes, where any shift does, its component is 0;
* where the normaliser is infinite, linear parts that keep every metric of the family are kept, and
  of the others one, the smallest, for each way to permute the Wyckoff positions, to turn a polar b
  axis and to mirror the crystal: the rest differ from it by a mere choice of the lattice basis.

Descriptions of a group are sorted: those that keep every metric of the family first, then those
that change it, then the same for mirror images of crystals whose group has no improper operation.

With ``--check`` nothing is written: the run fails if the file on disk differs.
"""

import itertools
import sys

import numpy as np
from table_file import write_or_check

from jaxcrys.symmetry import NUM_GROUPS, load_tables, operations, positions_of
from jaxcrys.symmetry.locate import locate

UNIT = 24
PAIRS = {76: 78, 91: 95, 92: 96, 144: 145, 151: 153, 152: 154, 169: 170, 171: 172, 178: 179,
         180: 181, 212: 213}  # fmt: skip
ENANTIOMORPH = PAIRS | {b: a for a, b in PAIRS.items()}
GRID = np.array(list(itertools.product(range(UNIT), repeat=3)))


def determinant(matrices: np.ndarray) -> np.ndarray:
    return np.rint(np.linalg.det(matrices)).astype(int)


def signed_permutations() -> np.ndarray:
    signs = itertools.product((1, -1), repeat=3)
    return np.array([np.diag(s)[list(p)] for s in signs for p in itertools.permutations(range(3))])


def hexagonal_matrices() -> np.ndarray:
    """Isometries of hexagonal axes: the integer matrices that keep the metric."""
    metric = np.array([[2, -1, 0], [-1, 2, 0], [0, 0, 2]])
    plane = np.array(list(itertools.product((-1, 0, 1), repeat=4))).reshape(-1, 2, 2)
    matrices = np.zeros((2 * len(plane), 3, 3), int)
    matrices[:, :2, :2] = np.repeat(plane, 2, 0)
    matrices[:, 2, 2] = np.tile([1, -1], len(plane))
    kept = (matrices.swapaxes(1, 2) @ metric @ matrices == metric).all((1, 2))
    return matrices[kept]


def monoclinic_matrices(largest: int = 2) -> np.ndarray:
    entries = np.array(list(itertools.product(range(-largest, largest + 1), repeat=4)))
    matrices = np.zeros((2 * len(entries), 3, 3), int)
    matrices[:, ::2, ::2] = np.repeat(entries.reshape(-1, 2, 2), 2, 0)
    matrices[:, 1, 1] = np.tile([1, -1], len(entries))
    return matrices[np.abs(determinant(matrices)) == 1]


def triclinic_matrices() -> np.ndarray:
    matrices = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    return matrices[np.abs(determinant(matrices)) == 1]


CANDIDATES = {0: triclinic_matrices, 1: monoclinic_matrices, 2: signed_permutations,
              3: signed_permutations, 4: hexagonal_matrices, 5: signed_permutations}  # fmt: skip


def by_size(matrices: np.ndarray) -> np.ndarray:
    """The identity first, then proper before improper, small before large, few minus signs."""
    keys = [
        (int((m != np.eye(3)).any()), int(np.linalg.det(m) < 0), int(np.abs(m).sum()),
         int((m < 0).sum()), tuple((-m).ravel()))
        for m in matrices
    ]  # fmt: skip
    return matrices[sorted(range(len(matrices)), key=keys.__getitem__)]


def polar_axes(rotations: np.ndarray) -> np.ndarray:
    """Axes along which every shift is allowed: those that all rotations keep."""
    kept = (rotations == np.eye(3, dtype=int)).all(1).all(0)
    assert kept.sum() == np.linalg.matrix_rank(rotations.mean(0)), "the polar space is oblique"
    return kept


def conjugation_shifts(linear, rotations, shifts, target) -> np.ndarray:
    """All p in 1/24, p = 0 along polar axes, with (P, p) G (P, p)⁻¹ = H, modulo H's lattice.

    H is given as a dictionary from rotations to the translations that go with them.
    """
    inverse = np.rint(np.linalg.inv(linear)).astype(int)
    found = GRID
    for rotation, shift in zip(rotations, shifts, strict=True):
        image = linear @ rotation @ inverse
        allowed = target.get(image.astype(np.int8).tobytes())
        if allowed is None:
            return GRID[:0]
        moved = (found @ (np.eye(3, dtype=int) - image).T + linear @ shift) % UNIT
        hit = (moved[:, None] == allowed[None]).all(-1).any(1)
        found = found[hit]
    return found


def translations_by_rotation(rotations, shifts) -> dict[bytes, np.ndarray]:
    keys = [r.astype(np.int8).tobytes() for r in rotations]
    return {k: np.array([s for q, s in zip(keys, shifts, strict=True) if q == k]) for k in keys}


def coset_key(linear, shift, rotations, shifts, polar) -> bytes:
    """The same for all (P, p) that differ by an operation of the group."""
    products = rotations @ linear
    moved = (rotations @ shift + shifts) % UNIT
    moved[:, polar] = 0
    rows = np.concatenate([products.reshape(len(products), 9), moved], 1)
    return rows[np.lexsort(rows.T[::-1])[0]].astype(np.int8).tobytes()


def position_map(group: int, target: int, linear, shift):
    """Where each position of the group goes: id, and u' = M u + m with m in 1/24."""
    tables = load_tables()
    first = tables.position_first_row[np.asarray(positions_of(group))]
    moved = linear @ tables.row_linear[first]
    translation = (tables.row_translation[first] @ linear.T + shift) / UNIT
    found = locate(target, moved, translation)
    scaled = found.translation * UNIT
    assert np.abs(found.linear - np.rint(found.linear)).max() < 1e-6
    assert np.abs(scaled - np.rint(scaled)).max() < 1e-6
    before = tables.position_multiplicity[np.asarray(positions_of(group))]
    assert (tables.position_multiplicity[found.wyckoff] == before).all()
    return found.wyckoff, np.rint(found.linear), np.rint(scaled) % UNIT


def descriptions(group: int, target: int, matrices: np.ndarray):
    """(P, p, position ids, M, m) of every description of one group in another."""
    rotations, shifts = (a.astype(int) for a in operations(group))
    onto = translations_by_rotation(*(a.astype(int) for a in operations(target)))
    goal = tuple(a.astype(int) for a in operations(target))
    polar = polar_axes(rotations)
    family = int(load_tables().group_family[group])
    infinite = family < 2
    seen: set = set()
    classes: set = set()
    result = []
    for linear in sorted(matrices, key=lambda matrix: not keeps_metric(matrix, family)):
        found = conjugation_shifts(linear, rotations, shifts, onto)
        found = found[~found[:, polar].any(1)]
        fresh = []
        for shift in found:
            key = coset_key(linear, shift, *goal, polar)
            if key not in seen:
                seen.add(key)
                fresh.append((linear, shift, *position_map(group, target, linear, shift)))
        if fresh and infinite:
            kind = (
                frozenset(entry[2].tobytes() for entry in fresh),
                handedness(linear, rotations),
                axis_sense(linear, rotations),
            )
            if kind in classes and not keeps_metric(linear, family):
                continue
            classes.add(kind)
        result += fresh
    return result


def keeps_metric(linear, family: int) -> bool:
    """Whether a change of axes keeps the metric of every lattice of the family."""
    rotation = np.abs(linear)
    if family == 0:
        return abs(linear.trace()) == 3 and (rotation == np.eye(3)).all()
    if family == 1:
        return (rotation == np.eye(3)).all() and linear[0, 0] == linear[2, 2]
    return family > 2 or bool((rotation == np.eye(3)).all())


def handedness(linear, rotations) -> int:
    """-1 if the change mirrors a crystal whose group has no improper operation."""
    mirror = (determinant(rotations) < 0).any()
    return 1 if mirror else int(determinant(linear))


def axis_sense(linear, rotations) -> int:
    """Whether the change turns a polar b axis of a monoclinic group, which no operation does."""
    polar = polar_axes(rotations)
    return int(linear[1, 1]) if polar.tolist() == [False, True, False] else 1


def build() -> dict[str, np.ndarray]:
    rows: dict[str, list] = {name: [] for name in ROW_DTYPES}
    maps: dict[str, list] = {name: [] for name in MAP_DTYPES}
    first, count = np.zeros((2, NUM_GROUPS + 1), int)
    enantiomorph = np.zeros(NUM_GROUPS + 1, int)
    polar = np.zeros((NUM_GROUPS + 1, 3), bool)
    for group in range(1, NUM_GROUPS + 1):
        matrices = by_size(CANDIDATES[int(load_tables().group_family[group])]())
        rotations = operations(group)[0].astype(int)
        polar[group] = polar_axes(rotations)
        partner = ENANTIOMORPH.get(group, 0)
        found = [
            (target, entry)
            for target in (group, partner)
            if target
            for entry in descriptions(group, target, matrices)
        ]
        family = int(load_tables().group_family[group])
        found.sort(
            key=lambda item: (
                handedness(item[1][0], rotations) < 0,
                not keeps_metric(item[1][0], family),
            )
        )
        enantiomorph[group] = partner
        first[group], count[group] = len(rows["linear"]), len(found)
        for target, (linear, shift, wyckoff, m, t) in found:
            rows["target"].append(target)
            rows["linear"].append(linear)
            rows["shift"].append(shift)
            rows["handedness"].append(handedness(linear, rotations))
            rows["keeps_metric"].append(keeps_metric(linear, family))
            rows["first_map"].append(len(maps["wyckoff"]))
            maps["wyckoff"] += list(wyckoff)
            maps["linear"] += list(m)
            maps["translation"] += list(t)
        print(group, len(found), file=sys.stderr)
    arrays = {f"description_{k}": np.array(v).astype(ROW_DTYPES[k]) for k, v in rows.items()}
    arrays |= {f"map_{k}": np.array(v).astype(MAP_DTYPES[k]) for k, v in maps.items()}
    arrays["group_first"] = first.astype(np.uint16)
    arrays["group_count"] = count.astype(np.uint16)
    arrays["group_enantiomorph"] = enantiomorph.astype(np.uint8)
    arrays["group_polar"] = polar
    return arrays


ROW_DTYPES = {"target": np.uint8, "linear": np.int8, "shift": np.int8, "handedness": np.int8,
              "keeps_metric": bool, "first_map": np.uint32}  # fmt: skip
MAP_DTYPES = {"wyckoff": np.uint16, "linear": np.int8, "translation": np.int8}


if __name__ == "__main__":
    write_or_check("normalisers.npz", build, __doc__.splitlines()[0])
