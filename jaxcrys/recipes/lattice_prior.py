"""An informed start for lattices: the volume that the elements suggest, the family's usual shape.

A cell has room for its atoms: ln V is close to the logarithm of the sum of their atomic volumes
(``data.atomic_volume``), and k6 = ln V / √3 is counted from there. Each coefficient is then centred
and scaled by its statistics over the crystal family, so that a standard normal start has the spread
of the data.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Float, namespace
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.atomic_volume import fit_atomic_volumes
from jaxcrys.geometry.lattice import FAMILIES
from jaxcrys.symmetry.groups import constrain_lattice, lattice_mask
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import multiplicity

SMALLEST_SCALE = 0.02


@dataclasses.dataclass(frozen=True)
class LatticePrior:
    """Statistics of a training set.

    Attributes:
        volumes: volume of an atom of each element, Å^3; entry 0 for an unknown one.
        mean: mean of each coefficient, for each crystal family.
        scale: standard deviation of each.
    """

    volumes: tuple[float, ...] = (20.0,) * len(SYMBOLS)
    mean: tuple[tuple[float, ...], ...] = ((0.0,) * 6,) * len(FAMILIES)
    scale: tuple[tuple[float, ...], ...] = ((0.1,) * 6,) * len(FAMILIES)


def validate(prior: LatticePrior) -> None:
    """Check the sizes of the tables.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate(LatticePrior())
    """
    if len(prior.volumes) != len(SYMBOLS):
        raise InputError(
            "prior.volumes", f"must have {len(SYMBOLS)} numbers, has {len(prior.volumes)}"
        )
    for name in ("mean", "scale"):
        if np.shape(getattr(prior, name)) != (len(FAMILIES), 6):
            raise InputError(
                f"prior.{name}", f"must have six numbers for each of {len(FAMILIES)} families"
            )


def fit_lattice_prior(crystals: Crystal, *, species_known: bool) -> LatticePrior:
    """Statistics of NumPy crystals.

    Args:
        crystals: the training set.
        species_known: whether elements are known when the lattice starts; otherwise all atoms
            count with the mean volume, and the spread of the volume is larger.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> prior = fit_lattice_prior(stack_crystals([example_crystal()]), species_known=True)
        >>> round(prior.volumes[0], 2)  # Å^3 per atom of rock salt
        22.43
    """
    volumes = fit_atomic_volumes(crystals)
    cells = np.exp(np.sqrt(3) * np.asarray(crystals.lattice, float)[:, 5])
    volumes[0] = cells.sum() / np.asarray(num_atoms(crystals)).sum()
    prior = LatticePrior(volumes=tuple(np.round(volumes, 4).tolist()))
    seen = np.asarray(crystals.species)
    known = dataclasses.replace(crystals, species=seen if species_known else np.zeros_like(seen))
    values = np.asarray(known.lattice - expected_size(known, prior), float)
    family = load_tables().group_family[np.asarray(crystals.group)]
    mean, scale = np.zeros((2, len(FAMILIES), 6))
    for index in range(len(FAMILIES)):
        own = values[family == index]
        # Families without data borrow the spread of all; what is fixed has none.
        own = own if len(own) > 1 else values
        mean[index], scale[index] = own.mean(0), np.maximum(own.std(0), SMALLEST_SCALE)
    return dataclasses.replace(
        prior,
        mean=tuple(map(tuple, np.round(mean, 5).tolist())),
        scale=tuple(map(tuple, np.round(scale, 5).tolist())),
    )


def expected_size(crystals: Crystal, prior: LatticePrior) -> Float[ArrayLike, "*b 6"]:
    """Coefficients of a cube filled by its atoms' volumes: 0 but for k6 = ln V / √3."""
    xp = namespace(crystals.lattice)
    volumes = lookup(np.asarray(prior.volumes, np.float32), xp.asarray(crystals.species))
    total = (volumes * multiplicity(crystals.wyckoff)).sum(-1)
    size = xp.log(xp.maximum(total, 1.0)) / np.sqrt(3, dtype=np.float32)
    return size[..., None] * np.eye(6, dtype=np.float32)[5]


def to_standard(crystals: Crystal, prior: LatticePrior) -> Float[ArrayLike, "*b 6"]:
    """Coefficients in units of their family's spread, 0 where the group fixes them."""
    mean, scale = _of_family(crystals, prior)
    values = (crystals.lattice - expected_size(crystals, prior) - mean) / scale
    return jnp.where(lattice_mask(crystals.group), values, 0)


def from_standard(
    standard: Float[ArrayLike, "*b 6"], crystals: Crystal, prior: LatticePrior
) -> Float[ArrayLike, "*b 6"]:
    """Inverse of :func:`to_standard`, for the groups and the elements of ``crystals``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> crystal = jax.tree.map(jnp.asarray, example_crystal())
        >>> prior = LatticePrior()
        >>> back = from_standard(to_standard(crystal, prior), crystal, prior)
        >>> bool(np.allclose(back, crystal.lattice, atol=1e-5))
        True
    """
    mean, scale = _of_family(crystals, prior)
    lattice = standard * scale + mean + expected_size(crystals, prior)
    return constrain_lattice(lattice, crystals.group)


def _of_family(crystals: Crystal, prior: LatticePrior) -> tuple[jax.Array, jax.Array]:
    family = lookup(load_tables().group_family, crystals.group)
    mean, scale = (np.asarray(x, np.float32) for x in (prior.mean, prior.scale))
    return lookup(mean, family), lookup(scale, family)
