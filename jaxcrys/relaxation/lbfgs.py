"""L-BFGS, a quasi-Newton method with limited memory (Nocedal 1980), without line searches.

The inverse Hessian is built from the last few steps s and changes of slope y, starting from a
multiple of the identity: sᵀy / yᵀy of the newest pair (at first a typical stiffness, as in ASE).
Pairs of negative curvature are left out. When the energy rises a crystal forgets what it knew.
"""

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree, take
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.packed import Packed
from jaxcrys.relaxation.coordinates import Motion, Scale, dot, longest_move, times
from jaxcrys.relaxation.minimiser import Memory, Minimiser

LONGEST_STEP = 0.15
"""Å."""

PAIRS = 8
STIFFNESS = 70.0
"""eV/Å², of the first step."""

RISE = 1e-5
"""Share of the energy by which it may rise before the memory is forgotten: rounding of float32."""


@pytree
class _Rows:
    """Of each site or crystal: pairs (s, y), newest last, and the last step and slope."""

    steps: Float[jax.Array, "r m c"]
    changes: Float[jax.Array, "r m c"]
    step: Float[jax.Array, "r c"]
    slope: Float[jax.Array, "r c"]


@pytree
class _Crystals:
    """Of each crystal: the rows of its cell, how many pairs there are, and the last energy."""

    cell: _Rows
    pairs: Int[jax.Array, "g"]
    begun: Int[jax.Array, "g"]
    energy: Float[jax.Array, "g"]


def _rows(count: int, width: int) -> _Rows:
    pairs, last = jnp.zeros((count, PAIRS, width)), jnp.zeros((count, width))
    return _Rows(steps=pairs, changes=pairs, step=last, slope=last)


def _init(sites: int, crystals: int) -> Memory:
    none = jnp.zeros(crystals, jnp.int32)
    own = _Crystals(cell=_rows(crystals, 6), pairs=none, begun=none, energy=jnp.zeros(crystals))
    return Memory(sites=_rows(sites, 3), crystals=own)


def _step(
    memory: Memory, packed: Packed, scale: Scale, slope: Motion, energy: Float[jax.Array, "g"]
) -> tuple[Memory, Motion]:
    sites, own = memory.sites, memory.crystals
    last = Motion(sites=sites.step, crystals=own.cell.step)
    before = Motion(sites=sites.slope, crystals=own.cell.slope)
    change = jax.tree.map(jnp.subtract, slope, before)
    curved = dot(packed, last, change) > 1e-8 * jnp.sqrt(
        dot(packed, last, last) * dot(packed, change, change)
    )
    useful = (own.begun > 0) & curved
    rose = (own.begun > 0) & (energy > own.energy + RISE * jnp.abs(own.energy))
    pairs = jnp.where(useful, jnp.minimum(own.pairs + 1, PAIRS), own.pairs)
    pairs = jnp.where(rose, 0, pairs)
    steps = _pushed(sites.steps, own.cell.steps, last, useful, packed)
    changes = _pushed(sites.changes, own.cell.changes, change, useful, packed)
    towards = _towards(packed, slope, steps, changes, pairs)
    short = jnp.minimum(1, LONGEST_STEP / (longest_move(packed, scale, towards) + 1e-30))
    step = times(packed, -short, towards)
    return Memory(
        sites=_Rows(steps=steps[0], changes=changes[0], step=step.sites, slope=slope.sites),
        crystals=_Crystals(
            cell=_Rows(
                steps=steps[1], changes=changes[1], step=step.crystals, slope=slope.crystals
            ),
            pairs=pairs,
            begun=jnp.ones_like(own.begun),
            energy=energy,
        ),
    ), step


def _pushed(
    sites: jax.Array, cells: jax.Array, new: Motion, useful: jax.Array, packed: Packed
) -> tuple[jax.Array, jax.Array]:
    """Histories with a new entry at the end, for the crystals for which it is useful."""

    def pushed(rows: jax.Array, entry: jax.Array, use: jax.Array) -> jax.Array:
        later = jnp.concatenate([rows[:, 1:], entry[:, None]], 1)
        return jnp.where(use[:, None, None], later, rows)

    return pushed(sites, new.sites, useful[packed.crystal]), pushed(cells, new.crystals, useful)


def _towards(
    packed: Packed,
    slope: Motion,
    steps: tuple[jax.Array, jax.Array],
    changes: tuple[jax.Array, jax.Array],
    pairs: Int[jax.Array, "g"],
) -> Motion:
    """The inverse Hessian times the slope, by the recursion over the pairs there and back."""
    step, change = (
        Motion(sites=sites.swapaxes(0, 1), crystals=cells.swapaxes(0, 1))
        for sites, cells in (steps, changes)
    )
    curvature = jax.vmap(lambda s, y: dot(packed, s, y))(step, change)
    known = pairs > PAIRS - 1 - jnp.arange(PAIRS)[:, None]
    rate = jnp.where(known, 1 / (curvature + 1e-30), 0)

    def back(rest: Motion, pair: tuple) -> tuple[Motion, jax.Array]:
        step, change, rate = pair
        share = rate * dot(packed, step, rest)
        return jax.tree.map(jnp.subtract, rest, times(packed, share, change)), share

    def forth(rest: Motion, pair: tuple) -> tuple[Motion, None]:
        step, change, rate, share = pair
        share = share - rate * dot(packed, change, rest)
        return jax.tree.map(jnp.add, rest, times(packed, share, step)), None

    rest, shares = jax.lax.scan(back, slope, (step, change, rate), reverse=True)
    newest = take(change, -1)
    softness = jnp.where(
        known[-1], curvature[-1] / (dot(packed, newest, newest) + 1e-30), 1 / STIFFNESS
    )
    rest, _ = jax.lax.scan(forth, times(packed, softness, rest), (step, change, rate, shares))
    return rest


lbfgs = Minimiser(_init, _step)
"""Takes far fewer steps near a minimum."""
