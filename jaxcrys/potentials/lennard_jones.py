"""The potential of Lennard and Jones: φ(r) = 4ε [(σ/r)¹² - (σ/r)⁶] - φ(r_c), 0 beyond the cutoff.

The simplest potential there is, alike for all elements: for trying things out.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxcrys.core.typing import ArrayLike, Float
from jaxcrys.crystal.packed import Packed
from jaxcrys.potentials.base import Potential


def lennard_jones(*, epsilon: float = 1.0, sigma: float = 2.5, cutoff: float = 6.0) -> Potential:
    """A Lennard-Jones potential.

    Args:
        epsilon: depth of the well, eV.
        sigma: distance at which it begins to repel, Å.
        cutoff: Å.
    """
    return Potential(
        params={"epsilon": epsilon, "sigma": sigma, "cutoff": cutoff},
        site_energies=_site_energies,
        cutoff=cutoff,
        name="lennard-jones",
        digest=f"{epsilon}-{sigma}-{cutoff}",
        elements=tuple(range(1, 119)),
    )


def _site_energies(
    params: Any, packed: Packed, vectors: Float[jax.Array, "e 3"]
) -> Float[jax.Array, "n"]:
    distance = jnp.linalg.norm(vectors, axis=-1)

    def pair(distance: ArrayLike) -> ArrayLike:
        sixth = (params["sigma"] / distance) ** 6
        return 4 * params["epsilon"] * (sixth**2 - sixth)

    shifted = pair(distance) - pair(params["cutoff"])
    each = jnp.where(distance < params["cutoff"], shifted, 0) / 2 * packed.alike
    return jax.ops.segment_sum(each, packed.receiver, num_segments=len(packed.species))
