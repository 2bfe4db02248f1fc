"""Centring translations: the lattice points inside the conventional cell."""

from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import general_position

MAX_CENTRING = 4
"""Lattice points in a face-centred cell, the most there are."""


def centring_count(group: Int[ArrayLike, "*b"]) -> Int[ArrayLike, "*b"]:
    """Lattice points in the conventional cell: 1 (P), 2 (A, C, I), 3 (R) or 4 (F).

    Example:
        >>> import numpy as np
        >>> centring_count(np.array([1, 229, 166, 225]))
        array([1, 2, 3, 4], dtype=int32)
    """
    return lookup(load_tables().group_centring, group)


def centring_translations(
    group: Int[ArrayLike, "*b"], *, capacity: int = MAX_CENTRING
) -> tuple[Float[ArrayLike, "*b c 3"], Bool[ArrayLike, "*b c"]]:
    """Fractional translations of the lattice points and which of the slots are used.

    Example:
        >>> import numpy as np
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
