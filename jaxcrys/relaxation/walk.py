"""Some steps of a relaxation, for packed crystals of any groups in one program.

A crystal stops walking when its forces and stress are small, after its last step, when numbers are
no longer finite or its volume has run away; and it waits when atoms have moved so far that pairs
may have come near that are not among the edges. What happened stands in an integer code.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import Float, Int
from jaxcrys.crystal.packed import Packed, edge_vectors
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.potentials.base import Slopes, cartesian_forces
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.relaxation.coordinates import (
    Motion,
    Scale,
    chosen,
    own_step,
    scale_of,
    scaled_slope,
)
from jaxcrys.relaxation.fire import fire
from jaxcrys.relaxation.lbfgs import lbfgs
from jaxcrys.relaxation.minimiser import Memory, Minimiser

MINIMISERS: dict[str, Minimiser] = {"fire": fire, "lbfgs": lbfgs}

OUTCOMES = (
    "walking", "converged", "steps", "not finite", "exploded", "collapsed", "unknown", "fused",
)  # fmt: skip
"""What became of a crystal, by code: converged; not within its steps; numbers became NaN or
infinite; its volume ran away; its cell has no end of neighbours; the potential does not know one of
its elements; no forces are left, but two atoms have come to lie on each other."""

WALKING, CONVERGED, STEPS, NOT_FINITE, EXPLODED, COLLAPSED, UNKNOWN, FUSED = range(len(OUTCOMES))

SOUND = (OUTCOMES[CONVERGED], OUTCOMES[STEPS])
"""Outcomes that leave a crystal with an energy."""

FUSION = 0.5
"""Å; no two atoms of a crystal are nearer."""

MOST_SWELLING = 5.0
"""Factor of the volume, up or down, beyond which a crystal has exploded."""


@pytree
class WalkSettings:
    """How to walk; only another minimiser needs another program.

    Attributes:
        minimiser: ``"lbfgs"`` or ``"fire"``.
        force: eV/Å; converged when no force on an atom is larger.
        stress: eV/Å³; and no component of stress plus pressure.
        steps: most steps of a crystal.
        pressure: eV/Å³ (1 GPa = 0.00624).
        fixed_cell: keep the lattice as it is.
        skin: Å by which edges reach beyond the cutoff.
        at_once: steps between two looks at the crystals from outside.
    """

    minimiser: str = static(default="lbfgs")
    force: float = 0.05
    stress: float = 0.003
    steps: int = 500
    pressure: float = 0.0
    fixed_cell: bool = False
    skin: float = 0.6
    at_once: int = 15


@pytree
class Place:
    """Where packed crystals are.

    Attributes:
        free: free coordinates, not wrapped.
        lattice: lattice coefficients.
    """

    free: Float[Any, "n 3"]
    lattice: Float[Any, "g 6"]


@pytree
class Progress:
    """How far packed crystals have come.

    Attributes:
        code: of ``OUTCOMES``.
        steps: taken so far.
        size: volume at the very beginning, Å³.
        start: energy at the very beginning, eV; NaN until it has been looked at.
        energy: of the conventional cell where it was last looked at, eV, without p V.
        force: largest on an atom there, eV/Å.
        stress: largest component of stress plus pressure there, eV/Å³.
    """

    code: Int[Any, "g"]
    steps: Int[Any, "g"]
    size: Float[Any, "g"]
    start: Float[Any, "g"]
    energy: Float[Any, "g"]
    force: Float[Any, "g"]
    stress: Float[Any, "g"]


class _State(NamedTuple):
    count: jax.Array
    place: Place
    memory: Memory
    progress: Progress
    fresh: jax.Array


@jax.jit
def walk(
    potential: AnyPotential,
    packed: Packed,
    begin: Place,
    memory: Memory,
    progress: Progress,
    *,
    settings: WalkSettings,
) -> tuple[Place, Memory, Progress]:
    """Take up to ``settings.at_once`` steps, fewer when most crystals have stopped or wait.

    Args:
        potential: gives energies and slopes.
        packed: crystals, and their edges up to the potential's cutoff and ``settings.skin``.
        begin: where they are.
        memory: the minimiser's.
        progress: how far they have come.
        settings: how to walk.
    """
    scale = scale_of(packed, begin.lattice)
    step = MINIMISERS[settings.minimiser].step
    walkers = (progress.code == WALKING).sum()

    def going(state: _State) -> jax.Array:
        moving = state.fresh & (state.progress.code == WALKING)
        return (state.count < settings.at_once) & (2 * moving.sum() > walkers)

    def once(state: _State) -> _State:
        at = state.place
        active = state.fresh & (state.progress.code == WALKING)
        found = potential.slopes(packed, at.free, at.lattice, active)
        seen = _judged(packed, at, found, state.progress, settings)
        seen = jax.tree.map(lambda new, old: jnp.where(state.fresh, new, old), seen, state.progress)
        moving = state.fresh & (seen.code == WALKING)
        slope, objective = _objective(scale, at, found, settings)
        new, move = step(state.memory, packed, scale, slope, objective)
        memory = chosen(packed, moving, new, state.memory)
        free, lattice = own_step(scale, chosen(packed, moving, move))
        place = Place(free=at.free + free, lattice=at.lattice + lattice)
        seen = dataclasses.replace(seen, steps=seen.steps + moving)
        fresh = _fresh(packed, scale, begin, place, potential.cutoff, settings.skin)
        return _State(state.count + 1, place, memory, seen, state.fresh & fresh)

    fresh = jnp.ones(len(packed.group), bool)
    start = _State(jnp.zeros((), jnp.int32), begin, memory, progress, fresh)
    end = jax.lax.while_loop(going, once, start)
    return end.place, end.memory, end.progress


def _objective(
    scale: Scale, at: Place, found: Slopes, settings: WalkSettings
) -> tuple[Motion, Float[jax.Array, "g"]]:
    """E + p V and its slope; V = exp(√3 k₆)."""
    size = volume(matrix_from_coefficients(at.lattice))
    push = settings.pressure * size
    lattice = found.lattice.at[:, 5].add(np.sqrt(3, dtype=np.float32) * push)
    lattice = jnp.where(settings.fixed_cell, 0, lattice)
    return scaled_slope(scale, found.free, lattice), found.energy + push


def _judged(
    packed: Packed, at: Place, found: Slopes, before: Progress, settings: WalkSettings
) -> Progress:
    """What has become of each crystal here."""
    forces = jnp.linalg.norm(cartesian_forces(packed, at.lattice, found.free), axis=-1)
    force = jax.ops.segment_max(forces, packed.crystal, num_segments=len(packed.group))
    force = jnp.maximum(force, 0)
    size = volume(matrix_from_coefficients(at.lattice))
    stress = found.strain / size[:, None, None] + settings.pressure * jnp.eye(3)
    stress = jnp.abs(stress).max((-1, -2))
    finite = jnp.isfinite(found.energy) & jnp.isfinite(force) & jnp.isfinite(stress)
    still = (force <= settings.force) & ((stress <= settings.stress) | settings.fixed_cell)
    swollen = jnp.abs(jnp.log(size / before.size)) > np.log(MOST_SWELLING)
    code = jnp.where(before.steps >= settings.steps, STEPS, WALKING)
    code = jnp.where(still, jnp.where(_nearest(packed, at) < FUSION, FUSED, CONVERGED), code)
    code = jnp.where(swollen, EXPLODED, code)
    code = jnp.where(finite, code, NOT_FINITE)
    done = before.code != WALKING
    return Progress(
        code=jnp.where(done, before.code, code),
        steps=before.steps,
        size=before.size,
        start=jnp.where(jnp.isnan(before.start), found.energy, before.start),
        energy=jnp.where(done, before.energy, found.energy),
        force=jnp.where(done, before.force, force),
        stress=jnp.where(done, before.stress, stress),
    )


def _nearest(packed: Packed, at: Place) -> Float[jax.Array, "g"]:
    """Shortest distance between two atoms of each crystal, Å."""
    length = jnp.linalg.norm(edge_vectors(packed, at.free, at.lattice), axis=-1)
    length = jnp.where(packed.alike > 0, length, jnp.inf)
    own = packed.crystal[packed.receiver]
    return jax.ops.segment_min(length, own, num_segments=len(packed.group))


def _fresh(
    packed: Packed, scale: Scale, begin: Place, now: Place, cutoff: float, skin: float
) -> jax.Array:
    """Whether the edges still hold every pair within the cutoff.

    A pair left out was at least cutoff + skin apart. Its atoms have come nearer by what they moved
    in the cell, and by what the cell shrank, at most the factor 1 - |S⁻¹ S' - 1|.
    """
    change = now.free - begin.free
    moved = jnp.einsum("nji,nj->ni", scale.root, change, precision="highest")
    length = jnp.linalg.norm(moved, axis=-1)
    longest = jax.ops.segment_max(length, packed.crystal, num_segments=len(packed.group))
    stretch = jnp.linalg.solve(
        matrix_from_coefficients(begin.lattice), matrix_from_coefficients(now.lattice)
    ) - jnp.eye(3)
    shrink = 1 - jnp.sqrt((stretch**2).sum((-1, -2)))
    return (cutoff + skin - 2 * jnp.maximum(longest, 0)) * shrink >= cutoff
