"""Make ``jaxcrys/symmetry/data/wyckoff.npz``, the exact tables of all 230 space groups.

    python tools/make_symmetry_tables.py [--check]

Wyckoff positions, their coordinates and their site symmetry come from pyxtal, the spaced
Hermann-Mauguin symbols from spglib. Both are needed here only; the package reads the file alone.
Every property that the package relies on is asserted while the tables are built:

* coordinates are affine in the free coordinates, with integer coefficients and translations in
  1/24, and the representative has an integer left inverse, so that free coordinates live on
  the torus [0, 1)^dof;
* each coordinate triplet of a position is an operation of the group applied to the
  representative; that operation's index is stored beside it;
* copies under centring translations follow the uncentred block, in the order of the centring
  translations of the general position.

With ``--check`` nothing is written: the run fails if the file on disk differs.
"""

import numpy as np
import spglib
from pyxtal.symmetry import Group
from table_file import write_or_check

UNIT = 24


def integers(values: np.ndarray, unit: int = 1) -> np.ndarray:
    scaled = np.asarray(values) * unit
    rounded = np.rint(scaled)
    assert np.abs(scaled - rounded).max() < 1e-4, scaled
    return rounded.astype(int)


def affine(position) -> tuple[np.ndarray, np.ndarray]:
    """All triplets of a position as (linear part, translation in 1/24)."""
    matrices = np.array([op.affine_matrix for op in position.ops])
    return integers(matrices[:, :3, :3]), integers(matrices[:, :3, 3], UNIT) % UNIT


def left_inverse(tangent: np.ndarray, dof: int) -> np.ndarray:
    """Integer matrix P with P @ tangent = identity on the free coordinates."""
    inverse = np.zeros((3, 3), int)
    for free in range(dof):
        expected = np.eye(3, dtype=int)[free]
        axis = next(i for i in range(3) if (np.abs(tangent[i]) == expected).all())
        inverse[free, axis] = tangent[axis, free]
    assert (inverse @ tangent == np.diag(np.arange(3) < dof)).all()
    return inverse


def centring(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Translations of the pure centring operations, in 1/24, the zero vector first."""
    pure = (rotations == np.eye(3, dtype=int)).all((1, 2))
    return translations[pure]


def order_by_centring(linear, translation, centres):
    """Put the triplets that differ by a centring translation one block apart."""
    block: list[int] = []
    seen: set[bytes] = set()
    for index in range(len(linear)):
        if triplet_key(linear[index], translation[index]) in seen:
            continue
        block.append(index)
        for centre in centres:
            seen.add(triplet_key(linear[index], (translation[index] + centre) % UNIT))
    assert len(block) * len(centres) == len(linear)
    ordered_linear = np.concatenate([linear[block]] * len(centres))
    ordered_translation = np.concatenate([(translation[block] + c) % UNIT for c in centres])
    original = {triplet_key(a, t) for a, t in zip(linear, translation, strict=True)}
    ordered = [triplet_key(a, t) for a, t in zip(ordered_linear, ordered_translation, strict=True)]
    assert set(ordered) == original
    assert len(set(ordered)) == len(linear)
    return ordered_linear, ordered_translation


def triplet_key(linear: np.ndarray, translation: np.ndarray) -> bytes:
    return np.concatenate([linear.ravel(), translation]).astype(np.int8).tobytes()


def generating_operations(linear, translation, operations) -> list[int]:
    """For each triplet the first group operation that makes it from the representative."""
    rotations, shifts = operations
    images = rotations @ linear[0]
    image_shifts = (np.einsum("oij,j->oi", rotations, translation[0]) + shifts) % UNIT
    lookup: dict[bytes, int] = {}
    for index in range(len(rotations)):
        lookup.setdefault(triplet_key(images[index], image_shifts[index]), index)
    return [lookup[triplet_key(a, t)] for a, t in zip(linear, translation, strict=True)]


FAMILIES = ((2, 0), (15, 1), (74, 2), (142, 3), (194, 4), (230, 5))


def spacegroup_type(hall_number: int) -> spglib.SpaceGroupType:
    kind = spglib.get_spacegroup_type(hall_number)
    assert kind is not None, hall_number
    return kind


def standard_hall_number(number: int) -> int:
    """Hall number of the ITA standard setting: origin choice 2, hexagonal axes, unique axis b."""
    settings = [h for h in range(1, 531) if spacegroup_type(h).number == number]
    choices = [spacegroup_type(h).choice for h in settings]
    wanted = [c for c in ("2", "H", "b1", "b", "") if c in choices]
    return settings[choices.index(wanted[0])] if wanted else settings[0]


def build() -> dict[str, np.ndarray]:
    positions: dict[str, list] = {name: [] for name in POSITION_DTYPES}
    groups: dict[str, list] = {"symbol": [b""], "hall_number": [0], "family": [0], "centring": [0]}
    rows: dict[str, list] = {"linear": [], "translation": [], "operation": []}
    add_position(positions, 0, b"", 0, 0, 0, b"", np.zeros((3, 3), int))
    count = 0
    for number in range(1, 231):
        wyckoff = Group(number).Wyckoff_positions[::-1]  # a first, the general position last
        rotations, shifts = affine(wyckoff[-1])
        centres = centring(rotations, shifts)
        operations = order_by_centring(rotations, shifts, centres)
        hall = standard_hall_number(number)
        groups["symbol"].append(spaced_symbol(hall))
        groups["hall_number"].append(hall)
        groups["family"].append(next(f for last, f in FAMILIES if number <= last))
        groups["centring"].append(len(centres))
        for position in wyckoff:
            linear, translation = order_by_centring(*affine(position), centres)
            free = np.flatnonzero(np.abs(linear[0]).sum(0))
            dead = np.setdiff1d(np.arange(3), free)
            assert not linear[:, :, dead].any()
            linear = linear[:, :, np.concatenate([free, dead])]
            position.get_site_symmetry()
            add_position(
                positions,
                number,
                position.letter.encode(),
                len(linear),
                len(free),
                count,
                position.site_symm.encode(),
                left_inverse(linear[0], len(free)),
            )
            assert len(linear) == position.multiplicity
            rows["linear"].append(linear)
            rows["translation"].append(translation)
            rows["operation"].append(generating_operations(linear, translation, operations))
            count += len(linear)
    arrays = {f"position_{k}": np.array(v, POSITION_DTYPES[k]) for k, v in positions.items()}
    arrays |= {f"row_{k}": np.concatenate(v).astype(ROW_DTYPES[k]) for k, v in rows.items()}
    arrays["group_symbol"] = np.array(groups["symbol"])
    arrays["group_hall_number"] = np.array(groups["hall_number"], np.uint16)
    arrays["group_family"] = np.array(groups["family"], np.uint8)
    arrays["group_centring"] = np.array(groups["centring"], np.uint8)
    assert len(arrays["position_group"]) == 1732
    assert count == 14433
    return arrays


POSITION_DTYPES = {
    "group": np.uint8,
    "letter": "S1",
    "multiplicity": np.uint8,
    "dof": np.uint8,
    "first_row": np.uint16,
    "site_symmetry": "S7",
    "left_inverse": np.int8,
}
ROW_DTYPES = {"linear": np.int8, "translation": np.int8, "operation": np.uint8}


def add_position(positions: dict[str, list], *values) -> None:
    for name, value in zip(POSITION_DTYPES, values, strict=True):
        positions[name].append(value)


def spaced_symbol(hall_number: int) -> bytes:
    """Hermann-Mauguin symbol with spaces, such as ``F d -3 m``; monoclinic ``P 1 21/c 1``."""
    kind = spacegroup_type(hall_number)
    monoclinic = kind.choice.startswith("b")
    symbol = kind.international_full if monoclinic else kind.international.split("=")[0]
    return symbol.strip().replace("_", "").encode()


if __name__ == "__main__":
    write_or_check("wyckoff.npz", build, __doc__.splitlines()[0])
