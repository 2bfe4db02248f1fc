"""Make ``jaxcrys/symmetry/data/subgroups.npz``, the maximal subgroups of all 230 space groups.

    python tools/make_subgroup_tables.py [--check]

The subgroups are enumerated by moyopy (0.21 or newer), which is needed here only: all
translationengleiche ones, and the klassengleiche ones of index 2, 3 and 4. One of each class of
conjugate subgroups is kept, and only if no other proper subgroup lies between:

* a t-subgroup if no other t-subgroup contains it (one between would keep all translations too);
* a k-subgroup of index 2 or 3 always, of index 4 if no k-subgroup of index 2 contains it (one
  between would keep the point group too, and the indices multiply).

There are infinitely many maximal subgroups of higher index, all of them isomorphic to the group.

Every stored relation (P, p) leads from the standard setting of the group to that of the subgroup,

    (a', b', c') = (a, b, c) P,    x' = P⁻¹ (x - p),

with det P > 0. Of all that describe a subgroup of the class, which differ by operations of the
group and by the normaliser of the subgroup, the one with the shortest, least skew axes and the
smallest shift is kept. That each operation of the subgroup is one of the group, that the index is
right and what is kept of translations and point group is asserted with the package's own tables.

With ``--check`` nothing is written: the run fails if the file on disk differs.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import moyopy
import numpy as np
from table_file import write_or_check

from jaxcrys.symmetry.groups import crystal_family, operations
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables

LINEAR_UNIT = 6
SHIFT_UNIT = 48
K_INDICES = (2, 3, 4)
EYE = np.eye(3, dtype=int)


class Embedded(NamedTuple):
    """A subgroup in the primitive basis of the group.

    Attributes:
        lattice: columns are primitive vectors of its translations.
        rotations: of one operation for each element of its point group.
        translations: of the same operations.
        index: in the group.
    """

    lattice: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    index: int


class Relation(NamedTuple):
    """A subgroup of a group: its type, index, whether k (not t), and transformation (P, p)."""

    subgroup: int
    index: int
    klassengleiche: bool
    linear: np.ndarray
    shift: np.ndarray


def integers(values: np.ndarray, unit: int = 1) -> np.ndarray:
    scaled = np.asarray(values) * unit
    rounded = np.rint(scaled)
    assert np.abs(scaled - rounded).max() < 1e-6, scaled
    return rounded.astype(int)


def whole(values: np.ndarray) -> np.ndarray:
    """Which vectors are integer."""
    return (np.abs(values - np.rint(values)) < 1e-6).all(-1)


# --- groups --------------------------------------------------------------------------------------


@functools.cache
def conventional_from_primitive(group: int) -> np.ndarray:
    """Columns are the conventional basis in terms of the primitive one."""
    hall = int(load_tables().group_hall_number[group])
    return np.array(moyopy.HallSymbolEntry(hall).centering.linear)


@functools.cache
def conventional(group: int) -> tuple[np.ndarray, np.ndarray]:
    rotations, translations = operations(group)
    return rotations.astype(int), translations / TRANSLATION_UNIT


@functools.cache
def primitive(group: int) -> tuple[np.ndarray, np.ndarray]:
    """One operation for each element of the point group, in the primitive basis."""
    rotations, translations = conventional(group)
    block = len(rotations) // int(load_tables().group_centring[group])
    basis = conventional_from_primitive(group)
    changed = basis @ rotations[:block] @ np.linalg.inv(basis)
    return integers(changed), translations[:block] @ basis.T


def in_lattice(group: int, vectors: np.ndarray) -> np.ndarray:
    return whole(vectors @ conventional_from_primitive(group).T)


@functools.cache
def basis_vectors(group: int) -> np.ndarray:
    """A lattice that the group allows, rows in Å."""
    if crystal_family(group) == "hexagonal":
        return np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1]])
    return np.eye(3)


# --- maximal subgroups ---------------------------------------------------------------------------


def translationengleiche(group: int) -> Iterator[Embedded]:
    rotations, translations = primitive(group)
    classes = moyopy.enumerate_translationengleiche_subgroups(
        rotations.tolist(), translations.tolist()
    )
    every = [frozenset(c.subgroup.operation_indices) for k in classes for c in k.conjugates]
    proper = [chosen for chosen in every if len(chosen) < len(rotations)]
    assert len(every) == len(set(every)) == len(proper) + 1
    for found in classes:
        subgroup = found.representative
        own = frozenset(subgroup.operation_indices)
        if own in proper and not any(own < other for other in proper):
            kept = subgroup.operations
            yield Embedded(
                EYE, np.array(kept.rotations), np.array(kept.translations),
                subgroup.translationengleiche_index,
            )  # fmt: skip


def klassengleiche(group: int, index: int) -> list[Embedded]:
    """One of each class of k-subgroups, maximal or not."""
    rotations, translations = (part.tolist() for part in primitive(group))
    classes = moyopy.enumerate_klassengleiche_subgroups_by_index(rotations, translations, index)
    found = [k.representative for k in classes]
    return [
        Embedded(
            np.array(k.transformation),
            np.array(k.parent_operations.rotations),
            np.array(k.parent_operations.translations),
            index,
        )
        for k in found
    ]


def maximal(group: int) -> Iterator[tuple[Embedded, bool]]:
    for subgroup in translationengleiche(group):
        yield subgroup, False
    by_index = {index: klassengleiche(group, index) for index in K_INDICES}
    for index, subgroups in by_index.items():
        # Subgroups of index 2 are normal: each is alone in its class.
        between = by_index[2] if index == 4 else []
        for subgroup in subgroups:
            if not any(contains(larger, subgroup) for larger in between):
                yield subgroup, True


def contains(larger: Embedded, smaller: Embedded) -> bool:
    inverse = np.linalg.inv(larger.lattice)
    if not whole((inverse @ smaller.lattice).T).all():
        return False
    order = {r.tobytes(): i for i, r in enumerate(larger.rotations)}
    same = [order[r.tobytes()] for r in smaller.rotations]
    apart = smaller.translations - larger.translations[same]
    return bool(whole(apart @ inverse.T).all())


# --- transformation to the standard setting ------------------------------------------------------


def identify(group: int, embedded: Embedded, klassengleiche: bool) -> Relation:
    """Type of a subgroup and some transformation to its standard setting."""
    inverse = np.linalg.inv(embedded.lattice)
    rotations = integers(inverse @ embedded.rotations @ embedded.lattice)
    basis = np.linalg.inv(conventional_from_primitive(group)) @ embedded.lattice
    found = moyopy.SpaceGroup(
        rotations.tolist(),
        (embedded.translations @ inverse.T).tolist(),
        basis=(basis.T @ basis_vectors(group)).tolist(),
        setting=moyopy.Setting.standard(),
    )
    assert found.hall_number == load_tables().group_hall_number[found.number]
    linear = basis @ np.array(found.linear) @ conventional_from_primitive(found.number)
    return Relation(
        found.number,
        embedded.index,
        klassengleiche,
        integers(linear, LINEAR_UNIT) / LINEAR_UNIT,
        basis @ np.array(found.origin_shift),
    )


@functools.cache
def grid() -> np.ndarray:
    """All shifts in units of 1/24, the shortest first."""
    steps = np.arange(-11, 13)
    points = np.array(list(itertools.product(steps, repeat=3)))
    return points[np.argsort((points**2).sum(1), kind="stable")] / TRANSLATION_UNIT


def fitting_shifts(group: int, change: np.ndarray) -> np.ndarray:
    """Shifts n with which (N, n) is in the affine normaliser, N (``change``) being given."""
    rotations, translations = conventional(group)
    order = {r.tobytes(): i for i, r in reversed(list(enumerate(rotations)))}
    inverse = integers(np.linalg.inv(change))
    good = grid()
    block = len(rotations) // int(load_tables().group_centring[group])
    for index, rotation in enumerate(rotations[:block]):
        image = order[np.ascontiguousarray(inverse @ rotation @ change).tobytes()]
        moved = (translations[index] + good @ (rotation - EYE).T) @ inverse.T
        good = good[in_lattice(group, moved - translations[image])]
    return good


@functools.cache
def small_matrices(monoclinic: bool) -> np.ndarray:
    """Unimodular matrices of -1, 0 and 1; up to 2 in the plane normal to a monoclinic axis."""
    if monoclinic:
        planes = np.array(list(itertools.product(range(-2, 3), repeat=4))).reshape(-1, 2, 2)
        every = np.tile(EYE, (len(planes), 1, 1))
        every[:, ::2, ::2] = planes
        every = np.concatenate([every, every * [1, -1, 1]])
    else:
        every = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
    return every[np.abs(np.rint(np.linalg.det(every))) == 1]


@functools.cache
def normaliser(group: int) -> tuple[np.ndarray, np.ndarray]:
    """Small linear parts N of the affine normaliser, and a shift for each."""
    rotations, _ = conventional(group)
    point_group = {r.tobytes() for r in rotations}
    centring = np.linalg.inv(conventional_from_primitive(group)).T
    found = []
    for change in small_matrices(crystal_family(group) == "monoclinic"):
        inverse = integers(np.linalg.inv(change))
        if not in_lattice(group, centring @ inverse.T).all():
            continue
        images = inverse @ rotations @ change
        if all(np.ascontiguousarray(r).tobytes() in point_group for r in images):
            shifts = fitting_shifts(group, change) if group > 2 else np.zeros((1, 3))
            found += [(change, shift) for shift in shifts[:1]]
    linear, shift = zip(*found, strict=True)
    return np.array(linear), np.array(shift)


@functools.cache
def normaliser_translations(group: int) -> np.ndarray:
    return fitting_shifts(group, EYE)


def cost(group: int, linear: np.ndarray) -> list[tuple]:
    """What makes axes ugly: length, distance from the axes of the group, minus signs."""
    vectors = linear.swapaxes(-1, -2) @ basis_vectors(group)
    length = np.round((vectors**2).sum((-1, -2)), 6)
    skew = np.round(((linear - EYE) ** 2).sum((-1, -2)), 6)
    negative = (linear < 0).sum((-1, -2))
    flat = [tuple(row) for row in np.round(-linear.reshape(-1, 9), 6).tolist()]
    rest = zip(length.tolist(), skew.tolist(), negative.tolist(), flat, strict=True)
    improper = np.linalg.det(linear) < 0
    return list(zip(improper.tolist(), rest, strict=True))


def simplify(group: int, relation: Relation) -> Relation:
    """The simplest transformation among those of the class of the subgroup."""
    linear, shift = relation.linear, relation.shift
    rotations, translations = conventional(group)
    changes, change_shifts = normaliser(relation.subgroup)
    block = len(rotations) // int(load_tables().group_centring[group])
    while True:  # the normaliser of an oblique lattice is infinite: go on while a small step helps
        options = (rotations[:block, None] @ linear @ changes).reshape(-1, 3, 3)
        costs = cost(group, options)
        best = min(costs)
        if best == cost(group, linear[None])[0]:
            break
        operation, change = divmod(costs.index(best), len(changes))
        shift = shift + linear @ change_shifts[change]
        shift = rotations[operation] @ shift + translations[operation]
        linear = options[costs.index(best)]
    same = (np.abs(options - linear) < 1e-6).all((1, 2)).nonzero()[0]
    operation, change = np.divmod(same, len(changes))
    moved = shift + change_shifts[change] @ linear.T
    moved = (rotations[operation] @ moved[:, :, None])[:, :, 0]
    # All centring translations of the group, then all translations that normalise the subgroup.
    moved = (moved + translations.reshape(-1, block, 3)[:, operation]).reshape(-1, 1, 3)
    moved = (moved + normaliser_translations(relation.subgroup) @ linear.T).reshape(-1, 3)
    return relation._replace(linear=linear, shift=smallest(moved))


def smallest(shifts: np.ndarray) -> np.ndarray:
    """The simplest modulo 1 of those shifts that are multiples of the unit."""
    kept = shifts[whole(shifts * SHIFT_UNIT)]
    units = np.unique(integers(kept, SHIFT_UNIT) % SHIFT_UNIT, axis=0)
    units = np.where(units > SHIFT_UNIT // 2, units - SHIFT_UNIT, units)
    order = np.lexsort((*-units.T, (units < 0).sum(1), (units**2).sum(1)))
    return units[order[0]] / SHIFT_UNIT


def verify(group: int, relation: Relation) -> None:
    """Check a relation with exact integers, against the tables of both groups."""
    unit = LINEAR_UNIT * SHIFT_UNIT  # holds P times a translation, and a shift
    linear = integers(relation.linear, LINEAR_UNIT)
    volume = round(float(np.linalg.det(linear)))
    assert volume > 0
    inverse = integers(np.linalg.inv(linear) * volume)
    shift = integers(relation.shift, SHIFT_UNIT) * LINEAR_UNIT
    rotations, translations = operations(relation.subgroup)
    turned, rest = np.divmod(linear @ rotations.astype(int) @ inverse, volume)
    assert not rest.any()
    moved = translations.astype(int) @ linear.T * (SHIFT_UNIT // TRANSLATION_UNIT)
    moved = (moved + shift - turned @ shift) % unit
    parents, parent_translations = operations(group)
    scaled = parent_translations.astype(int) * (unit // TRANSLATION_UNIT) % unit
    known = {(r.tobytes(), tuple(t)) for r, t in zip(parents.astype(int), scaled, strict=True)}
    assert all((r.tobytes(), tuple(t)) in known for r, t in zip(turned, moved, strict=True))
    columns = {(EYE.tobytes(), tuple(v)) for v in linear.T * SHIFT_UNIT % unit}
    assert columns <= known

    cell = volume / LINEAR_UNIT**3
    tables = load_tables()
    centring = tables.group_centring.astype(float)
    translation_index = cell * centring[group] / centring[relation.subgroup]
    order = [len(operations(g)[0]) / centring[g] for g in (group, relation.subgroup)]
    assert np.isclose(translation_index * order[0] / order[1], relation.index)
    assert np.isclose(translation_index, relation.index if relation.klassengleiche else 1)
    assert relation.klassengleiche == (order[0] == order[1])


# --- the table -----------------------------------------------------------------------------------


def relations(group: int) -> list[Relation]:
    found = [simplify(group, identify(group, *subgroup)) for subgroup in maximal(group)]
    for relation in found:
        verify(group, relation)

    def key(relation: Relation) -> tuple:
        kept = cost(group, relation.linear[None])[0], (-relation.shift).tolist()
        return (relation.klassengleiche, relation.index, -relation.subgroup, *kept)

    return sorted(found, key=key)


def build() -> dict[str, np.ndarray]:
    rows = [(group, relation) for group in range(1, 231) for relation in relations(group)]
    linear = [integers(relation.linear, LINEAR_UNIT) for _, relation in rows]
    shift = [integers(relation.shift, SHIFT_UNIT) for _, relation in rows]
    assert max(np.abs(np.array(linear)).max(), np.abs(np.array(shift)).max()) < 128
    return {
        "supergroup": np.array([group for group, _ in rows], np.uint8),
        "subgroup": np.array([relation.subgroup for _, relation in rows], np.uint8),
        "index": np.array([relation.index for _, relation in rows], np.uint8),
        "klassengleiche": np.array([relation.klassengleiche for _, relation in rows]),
        "linear": np.array(linear, np.int8),
        "shift": np.array(shift, np.int8),
    }


if __name__ == "__main__":
    write_or_check("subgroups.npz", build, __doc__.splitlines()[0])
