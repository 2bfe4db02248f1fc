"""Centring translations: the lattice points inside the conventional cell."""

import functools

import numpy as np

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import general_position

MAX_CENTRING = 4
"""Lattice points in a face-centred cell, the most there are."""

PRIMITIVE_BASES = {
    "P": np.eye(3),
    "A": np.array([[2, 0, 0], [0, 1, 1], [0, -1, 1]]) / 2,
    "B": np.array([[1, 0, 1], [0, 2, 0], [-1, 0, 1]]) / 2,
    "C": np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]]) / 2,
    "I": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "F": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}
"""Rows are primitive basis vectors in the conventional basis, for each kind of centring."""


def centring_count(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Lattice points in the conventional cell: 1 (P), 2 (A, C, I), 3 (R) or 4 (F).

    Example:
        >>> centring_count(np.array([1, 229, 166, 225]))
        array([1, 2, 3, 4], dtype=int32)
    """
    return lookup(load_tables().group_centring, group)


def centring_translations(
    group: Int[ArrayLike, "*b"], *, capacity: int = MAX_CENTRING
) -> tuple[Float[ArrayLike, "*b c 3"], Bool[ArrayLike, "*b c"]]:
    """Fractional translations of the lattice points and which of the slots are used.

    Example:
        >>> centring_translations(np.array(229), capacity=2)[0]
        array([[0. , 0. , 0. ], [0.5, 0.5, 0.5]])
    """
    xp = namespace(group)
    tables = load_tables()
    general = general_position(group)
    count = centring_count(group)[..., None]
    block = lookup(tables.position_multiplicity, general)[..., None] // count
    index = xp.arange(capacity, dtype=block.dtype)
    mask = index < count
    row = lookup(tables.position_first_row, general)[..., None] + xp.where(mask, index * block, 0)
    return lookup(tables.row_translation, row) / TRANSLATION_UNIT, mask


def primitive_basis(group: Int[ArrayLike, "*b"]) -> Float[ArrayLike, "*b 3 3"]:
    """Basis vectors of the primitive lattice, as rows, in the conventional basis.

    Example:
        >>> primitive_basis(np.array(225)).tolist()
        [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    return lookup(_primitive_bases(), group)


@functools.cache
def _primitive_bases() -> np.ndarray:
    letters = [str(symbol)[:1] or "P" for symbol in load_tables().group_symbol]
    bases = np.stack([PRIMITIVE_BASES[letter] for letter in letters])
    bases.setflags(write=False)
    return bases
