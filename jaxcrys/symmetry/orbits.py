"""From sites to atoms: the orbit of each site under its space group."""

import numpy as np

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, namespace
from jaxcrys.geometry.periodic import wrap
from jaxcrys.symmetry.tables import TRANSLATION_UNIT, load_tables, lookup
from jaxcrys.symmetry.wyckoff import multiplicity, multiplicity_modulo_centring


@pytree
class Orbits:
    """The atoms of all orbits of a crystal, padded to a capacity of n atoms.

    Attributes:
        frac: fractional coordinates in [0, 1), 0 in the padding.
        site: the site each atom came from.
        row: the row of the tables that made it (see ``symmetry.tables``).
        mask: which atoms exist.
        overflow: how many atoms did not fit; 0 if the result is complete.
    """

    frac: Float[ArrayLike, "*b n 3"]
    site: Int[ArrayLike, "*b n"]
    row: Int[ArrayLike, "*b n"]
    mask: Bool[ArrayLike, "*b n"]
    overflow: Int[ArrayLike, "*b"]


def expand_orbits(
    wyckoff: Int[ArrayLike, "*b s"],
    free: Float[ArrayLike, "*b s 3"],
    *,
    capacity: int,
    modulo_centring: bool = False,
) -> Orbits:
    """Apply to each site the rows of its Wyckoff position: x = linear @ u + translation (mod 1).

    Pure, with any leading dimensions; groups may differ within a batch. Atoms are ordered by site,
    then by row. With ``modulo_centring`` only one of the atoms that differ by a centring
    translation is written, the others being its copies (``symmetry.centring``).

    Example:
        >>> import numpy as np
        >>> from jaxcrys.symmetry import position_id
        >>> sites = np.array([position_id(225, "a"), 0])
        >>> orbits = expand_orbits(sites, np.zeros((2, 3)), capacity=6)
        >>> orbits.frac[:4].tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
        >>> orbits.mask.tolist(), int(orbits.overflow)
        ([True, True, True, True, False, False], 0)
    """
    xp = namespace(wyckoff, free)
    tables = load_tables()
    count = multiplicity_modulo_centring(wyckoff) if modulo_centring else multiplicity(wyckoff)
    free = xp.asarray(free)
    end = xp.cumsum(count, -1, dtype=count.dtype)
    atom = xp.arange(capacity, dtype=end.dtype)
    total = end[..., -1:]
    mask = atom < total
    # The site of atom j is the number of orbits that end at or before j.
    site = (end[..., None, :] <= atom[:, None]).sum(-1, dtype=end.dtype)
    site = xp.where(mask, site, 0)
    start_row = lookup(tables.position_first_row, wyckoff) - (end - count)
    # Sites are valid indices: without JAX's check of them the expansion takes a quarter less time.
    unchecked = {} if xp is np else {"mode": "clip"}
    row = xp.where(mask, xp.take_along_axis(start_row, site, -1, **unchecked) + atom, 0)
    u = xp.take_along_axis(free, site[..., None], -2, **unchecked)
    linear = lookup(tables.row_linear, row).astype(free.dtype)
    shift = lookup(tables.row_translation, row).astype(free.dtype) / TRANSLATION_UNIT
    frac = wrap((linear * u[..., None, :]).sum(-1) + shift)
    return Orbits(
        frac=xp.where(mask[..., None], frac, 0),
        site=site,
        row=row,
        mask=mask,
        overflow=xp.maximum(total[..., 0] - capacity, 0),
    )


def representative(
    wyckoff: Int[ArrayLike, "*b"], free: Float[ArrayLike, "*b 3"]
) -> Float[ArrayLike, "*b 3"]:
    """Fractional coordinates of each site's representative (its first row), 0 in empty slots.

    Example:
        >>> import numpy as np
        >>> from jaxcrys.symmetry import position_id
        >>> representative(np.array(position_id(194, "k")), np.array([0.1, 0.7, 0.0]))
        array([0.1, 0.2, 0.7])
    """
    xp = namespace(wyckoff, free)
    tables = load_tables()
    free = xp.asarray(free)
    row = lookup(tables.position_first_row, wyckoff)
    linear = lookup(tables.row_linear, row).astype(free.dtype)
    shift = lookup(tables.row_translation, row).astype(free.dtype) / TRANSLATION_UNIT
    frac = wrap((linear * free[..., None, :]).sum(-1) + shift)
    return xp.where((wyckoff > 0)[..., None], frac, 0)
