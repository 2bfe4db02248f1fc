"""Sampling guided by properties: what a sampler is heading for is moved towards wanted values.

A regressor says which values the crystals ahead have, and how they change with the coordinates and
the lattice. Each goes down the slope of

    Σ_p (distance of its value from the wanted range, in standard deviations of the data)² / 2

in a few steps of fixed length, and stays where its values are best; one that has what is wanted
does not move. Elements and template are not touched: what these decide, ``jaxcrys estimate``
chooses afterwards. A regressor can be misled, so judge the result by another one.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import tree_hash
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.base import Params, get_recipe
from jaxcrys.recipes.factors import cartesian_changes, masks_of, mean_over_atoms
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.estimate import targets_of

STEP = 0.01
"""Length of a step: of atoms in units of the cube root of the volume per atom, and of the lattice
as a strain."""


@dataclasses.dataclass(frozen=True)
class PropertyGuide:
    """How properties guide a sampler (``sampling.guide``).

    Attributes:
        model: estimates them, made by ``jaxcrys fit``.
        wanted: least and largest value of each.
        steps: by which the crystals ahead are moved each time.
        since: share of the sampler's steps that are not guided.
    """

    model: Model
    wanted: dict[str, tuple[float, float]]
    steps: int = 4
    since: float = 0.6

    def check(self) -> None:
        """See :class:`jaxcrys.sampling.guide.Guide`."""
        if self.steps < 1:
            raise InputError("steps", f"must be at least 1, got {self.steps}")
        known = targets_of(self.model)
        for name in self.wanted:
            if name not in known:
                raise InputError(
                    "--toward", f"{self.model.run} does not estimate {name!r}",
                    f"it knows {', '.join(known)}",
                )  # fmt: skip

    def described(self) -> dict[str, Any]:
        """What results depend on, for records."""
        return {
            "regressor": {"run": str(self.model.run), "sha256": tree_hash(self.model.params)},
            "wanted": {name: list(limits) for name, limits in self.wanted.items()},
            "steps": self.steps,
            "since": self.since,
        }

    def improve(
        self, crystals: Crystal, numbers: Int[np.ndarray, "b"], *, shape: CellShape
    ) -> Crystal:
        """The crystals a few steps nearer to what is wanted."""
        del numbers
        limits = [self.wanted.get(name, (-np.inf, np.inf)) for name in targets_of(self.model)]
        improve = _program(self.model.config.recipe)
        moved = improve(
            self.model.params, crystals, jnp.asarray(limits, jnp.float32),
            config=self.model.config.settings, shape=shape, steps=self.steps,
        )  # fmt: skip
        return jax.device_get(moved)


@functools.cache
def _program(recipe: str) -> Any:
    estimate = get_recipe(recipe).estimate
    assert estimate is not None

    def distance(
        params: Params, crystals: Crystal, limits: jax.Array, config: Any, shape: CellShape
    ) -> Float[jax.Array, "b"]:
        mean = estimate(params, crystals, config=config, shape=shape).mean
        scale = jnp.array([target.scale for target in config.targets])
        off = jnp.maximum(limits[:, 0] - mean, 0) + jnp.maximum(mean - limits[:, 1], 0)
        return ((off / scale) ** 2).sum(-1) / 2

    def improve(
        params: Params, crystals: Crystal, limits: jax.Array, *,
        config: Any, shape: CellShape, steps: int,
    ) -> Crystal:  # fmt: skip
        masks = masks_of(crystals)

        def total(free: jax.Array, lattice: jax.Array) -> tuple[jax.Array, jax.Array]:
            moved = dataclasses.replace(crystals, free=free, lattice=lattice)
            each = distance(params, moved, limits, config, shape)
            return each.sum(), each

        slope = jax.grad(total, argnums=(0, 1), has_aux=True)

        def one_step(carry: tuple, _: None) -> tuple[tuple, None]:
            (free, lattice), best, least = carry
            (by_free, by_lattice), each = slope(free, lattice)
            better = each < least
            best = jax.tree.map(
                lambda new, old: jnp.where(_wide(better, new), new, old), (free, lattice), best
            )
            least = jnp.minimum(each, least)
            by_free = jnp.where(masks.free, jnp.nan_to_num(by_free), 0)
            by_lattice = jnp.where(masks.lattice, jnp.nan_to_num(by_lattice), 0)
            squared = (cartesian_changes(crystals, by_free) ** 2).sum(-1)
            length = mean_over_atoms(squared, crystals) + (by_lattice**2).sum(-1)
            size = STEP * jax.lax.rsqrt(jnp.maximum(length, 1e-20))
            size = jnp.where(length > 0, size, 0)
            ahead = (free - size[:, None, None] * by_free, lattice - size[:, None] * by_lattice)
            return (ahead, best, least), None

        start = (crystals.free, crystals.lattice)
        none = jnp.full(crystals.group.shape, jnp.inf)
        (_, (free, lattice), _), _ = jax.lax.scan(one_step, (start, start, none), length=steps + 1)
        return dataclasses.replace(crystals, free=free, lattice=lattice)

    return quick_jit(improve, "config", "shape", "steps")


def _wide(flags: jax.Array, like: jax.Array) -> jax.Array:
    return flags.reshape(-1, *[1] * (like.ndim - 1))
