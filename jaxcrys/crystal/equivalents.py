"""Other descriptions of the same crystal: another origin, other axes, the same atoms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float, Int, Key, namespace
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import coefficients_from_matrix, matrix_from_coefficients
from jaxcrys.symmetry.groups import constrain_lattice
from jaxcrys.symmetry.normalisers import (
    description_row,
    load_normalisers,
    num_descriptions,
    polar_axes,
    redescribe_sites,
    shift_origin,
)
from jaxcrys.symmetry.tables import lookup


def redescribe(
    crystal: Crystal,
    index: Int[ArrayLike, "*b"],
    *,
    shift: Float[ArrayLike, "*b 3"] | None = None,
) -> Crystal:
    """The crystal in description number ``index`` of its group (``symmetry.normalisers``).

    Pure, in jit, for batches of different groups; site slots keep their order.

    Args:
        crystal: one crystal or a batch.
        index: number of the description, below ``num_descriptions``; 0 changes nothing.
        shift: then move the origin by this much along polar axes; other components are ignored.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.symmetry import position_label
        >>> [position_label(i) for i in redescribe(example_crystal(), np.array(1)).wyckoff]
        ['4b', '4a']
    """
    xp = namespace(crystal.wyckoff, crystal.free, crystal.lattice, index)
    table = load_normalisers()
    row = description_row(crystal.group, index)
    group = lookup(table.description_target, row)
    wyckoff, free = redescribe_sites(crystal.wyckoff, crystal.free, row)
    if shift is not None:
        free = shift_origin(wyckoff, free, xp.where(polar_axes(group), shift, 0))
    changed = change_axes(crystal.lattice, lookup(_inverse_linear(), row))
    kept = lookup(table.description_keeps_metric, row)[..., None]
    return Crystal(
        group=group,
        wyckoff=wyckoff,
        species=crystal.species,
        free=free,
        lattice=xp.where(kept, crystal.lattice, constrain_lattice(changed, group)),
    )


def change_axes(
    k: Float[ArrayLike, "*b 6"], inverse: Int[ArrayLike, "*b 3 3"]
) -> Float[ArrayLike, "*b 6"]:
    """Lattice coefficients after the change of coordinates x' = P x: the rows become P⁻ᵀ L.

    Args:
        k: coefficients of the lattice.
        inverse: P⁻¹.

    Example:
        >>> swapped = change_axes(np.array([0, 0, 0, 0.3, 0, 1]), np.eye(3)[[1, 0, 2]])
        >>> bool(np.allclose(swapped, [0, 0, 0, -0.3, 0, 1]))
        True
    """
    xp = namespace(k, inverse)
    rows = matrix_from_coefficients(xp.asarray(k))
    turned = (xp.asarray(inverse, rows.dtype)[..., :, :, None] * rows[..., :, None, :]).sum(-3)
    return coefficients_from_matrix(turned)


@functools.cache
def _inverse_linear() -> np.ndarray:
    return np.rint(np.linalg.inv(load_normalisers().description_linear.astype(float))).astype(
        np.int8
    )


def equivalents(crystal: Crystal, *, axes: bool = True, mirror: bool = False) -> Crystal:
    """All descriptions of one crystal as a batch, the crystal as it is first (host side).

    Polar groups allow any shift along their polar axes besides, monoclinic and triclinic lattices
    other bases; see ``symmetry.normalisers``.

    Args:
        crystal: a single crystal.
        axes: include descriptions that exchange axes.
        mirror: include those of the mirror image, where it is another crystal.

    Raises:
        InputError: if ``crystal`` is a batch.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> equivalents(example_crystal()).wyckoff.shape
        (2, 2)
    """
    count = int(num_descriptions(np.asarray(crystal.group), axes=axes, mirror=mirror).max())
    return describe_by(crystal, np.arange(count))


def describe_by(crystal: Crystal, index: Int[np.ndarray, "d"]) -> Crystal:
    """One crystal in each of several descriptions, as a batch (host side).

    Raises:
        InputError: if ``crystal`` is a batch.
    """
    if np.ndim(crystal.group):
        raise InputError("crystal", "expected a single crystal, got a batch", "index it first")
    return redescribe(jax.tree.map(lambda leaf: np.stack([leaf] * len(index)), crystal), index)


def random_equivalent(
    key: Key[jax.Array, ""], crystal: Crystal, *, axes: bool = True, mirror: bool = False
) -> Crystal:
    """A random description of each crystal, with a random origin along polar axes; for jit.

    Every description has the same probability, the origin along polar axes is uniform. As an
    augmentation of training data it makes a model blind to the arbitrary choices of a setting.

    Args:
        key: random key.
        crystal: one crystal or a batch.
        axes: draw among those that exchange axes too. Monoclinic and triclinic lattices may come
            out oblique then.
        mirror: draw among those of the mirror image too.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> moved = jax.jit(random_equivalent)(jax.random.key(1), example_crystal())
        >>> moved.species.tolist()
        [11, 17]
    """
    crystal = jax.tree.map(jnp.asarray, crystal)
    which, where = jax.random.split(key)
    count = num_descriptions(crystal.group, axes=axes, mirror=mirror)
    index = jax.random.randint(which, crystal.group.shape, 0, count)
    shift = jax.random.uniform(where, (*crystal.group.shape, 3), crystal.free.dtype)
    return redescribe(crystal, index, shift=shift)
