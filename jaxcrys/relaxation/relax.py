"""Relax many crystals, as many at a time as there is room for (host side).

Crystals of all groups and sizes share a program. Those that have stopped leave, others take their
place, and edges are found anew whenever atoms have moved far. Space group and Wyckoff positions
stay what they are at every step, as only free coordinates and free lattice coefficients move.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.core.typing import ArrayLike
from jaxcrys.crystal.edges import Edges, find_edges
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.packed import Capacity, fits, pack, room_for, rounded, together
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.geometry.periodic import wrap
from jaxcrys.potentials.host import AnyPotential
from jaxcrys.relaxation.minimiser import Memory
from jaxcrys.relaxation.walk import (
    COLLAPSED,
    MINIMISERS,
    OUTCOMES,
    UNKNOWN,
    WALKING,
    Place,
    Progress,
    WalkSettings,
    walk,
)
from jaxcrys.symmetry.groups import constrain_lattice
from jaxcrys.symmetry.wyckoff import free_mask

EDGES = 4096
"""Room for so many edges at a time; accelerators have use for more."""

STRAGGLING = 100
"""Steps that are many."""


@dataclasses.dataclass(frozen=True)
class Relaxed:
    """A crystal after its relaxation.

    Attributes:
        crystal: in its group and positions as before.
        outcome: one of ``walk.OUTCOMES``.
        steps: taken.
        energy: eV per atom, NaN if it has none.
        start_energy: eV per atom, before the first step.
        force: largest on an atom, eV/Å.
        stress: largest component of stress plus pressure, eV/Å³.
        path: where it was at each step, the last of all included, if that was asked for.
        energies: eV per atom there.
    """

    crystal: Crystal
    outcome: str
    steps: int
    energy: float
    start_energy: float
    force: float
    stress: float
    path: tuple[Crystal, ...] = ()
    energies: tuple[float, ...] = ()


@dataclasses.dataclass
class _Walker:
    """A crystal under way."""

    index: int
    crystal: Crystal
    memory: Memory
    progress: Progress
    path: list[tuple[Crystal, float]]
    edges: Edges | None = None

    @property
    def walking(self) -> bool:
        """Whether it goes on."""
        return int(self.progress.code[0]) == WALKING


def relax(
    potential: AnyPotential,
    crystals: Sequence[Crystal],
    settings: WalkSettings | None = None,
    *,
    room: Capacity | None = None,
    trajectory: bool = False,
    advance: Callable[[int, Relaxed], None] = lambda index, done: None,
) -> list[Relaxed]:
    """Relax crystals in their own free coordinates and lattice coefficients.

    Args:
        potential: gives energies and slopes.
        crystals: single crystals.
        settings: how to walk, and when to stop.
        room: for the crystals that walk at a time; decides the memory, and each has a program of
            its own. By default :func:`standard_room`, or less where all need less.
        trajectory: keep where each crystal was, and look at them from outside after each step.
        advance: told of each crystal as it stops.

    Returns:
        One result for each, in their order. What goes wrong with one is said in its ``outcome``,
        and does not touch the others.

    Raises:
        InputError: for settings that make no sense.
    """
    settings = settings or WalkSettings()
    _check(settings)
    if trajectory:
        settings = dataclasses.replace(settings, at_once=1)
    walking = dataclasses.replace(potential, digest="", elements=())  # one program for all
    reach = potential.cutoff + settings.skin
    queue = deque(_walker(i, crystal, potential, settings) for i, crystal in enumerate(crystals))
    standard = room or _enough(queue, reach)
    done: dict[int, Relaxed] = {}
    while queue:
        crew, own = _crew(queue, standard, reach)
        own = own if queue else _less_for_stragglers(crew, own)
        places = [walker.crystal for walker in crew]
        _walk(walking, crew, own, settings)
        for walker, place in zip(reversed(crew), reversed(places), strict=True):
            if trajectory:  # the energy is of where a step began
                walker.path.append((place, walker.progress.energy[0].item()))
            if walker.walking:
                queue.appendleft(walker)
            else:
                done[walker.index] = _relaxed(walker)
                advance(walker.index, done[walker.index])
    return [done[index] for index in range(len(crystals))]


def standard_room(edges: int = EDGES) -> Capacity:
    """Room for so many edges, and what crystals with so many have of the rest.

    Example:
        >>> standard_room(4096)
        Capacity(crystals=64, sites=256, images=512, edges=4096)
    """
    sizes = {"crystals": 64, "sites": 16, "images": 8, "edges": 1}
    return Capacity(**{name: max(edges // each, 1) for name, each in sizes.items()})


def _check(settings: WalkSettings) -> None:
    if settings.minimiser not in MINIMISERS:
        known = ", ".join(MINIMISERS)
        raise InputError("minimiser", f"must be one of {known}, got {settings.minimiser}")
    for name in ("force", "stress", "skin"):
        if not getattr(settings, name) > 0:
            raise InputError(name, f"must be positive, got {getattr(settings, name)}")
    if settings.steps < 0 or settings.at_once < 1:
        raise InputError("steps", f"must not be negative, got {settings.steps}")


def _walker(
    index: int, crystal: Crystal, potential: AnyPotential, settings: WalkSettings
) -> _Walker:
    """A crystal before its first step, without its empty slots."""
    used = np.asarray(crystal.wyckoff) > 0
    crystal = Crystal(
        group=np.asarray(crystal.group),
        wyckoff=np.asarray(crystal.wyckoff)[used],
        species=np.asarray(crystal.species)[used],
        free=np.asarray(crystal.free, np.float64)[used],
        lattice=np.asarray(crystal.lattice, np.float64),
    )
    known = bool(used.any()) and np.isin(crystal.species, potential.elements).all()
    none = np.array([np.nan], np.float32)
    return _Walker(
        index=index,
        crystal=crystal,
        memory=jax.tree.map(np.asarray, MINIMISERS[settings.minimiser].init(int(used.sum()), 1)),
        progress=Progress(
            code=np.array([WALKING if known else UNKNOWN], np.int32),
            steps=np.zeros(1, np.int32),
            size=np.asarray(volume(matrix_from_coefficients(crystal.lattice)), np.float32)[None],
            start=none,
            energy=none,
            force=none,
            stress=none,
        ),
        path=[],
    )


def _crew(
    queue: deque[_Walker], standard: Capacity, reach: float
) -> tuple[list[_Walker], Capacity]:
    """Take crystals from the front of the queue, as many as there is room for.

    For one that is too large the room is doubled, as often as need be. Those that cannot walk take
    no room.
    """
    crew: list[_Walker] = []
    need, room = Capacity(0, 0, 0, 0), standard
    while queue:
        walker = queue[0]
        _look_around(walker, reach)
        if walker.edges is not None:
            more = together(need, room_for([walker.crystal], [walker.edges]))
            if not fits(more, room):
                if need.crystals:
                    break
                while not fits(more, room):
                    room = together(room, room)
            need = more
        crew.append(queue.popleft())
    return crew, room


def _less_for_stragglers(crew: list[_Walker], room: Capacity) -> Capacity:
    """An eighth of the room, if the last crystals fit there and have long been under way.

    They may go on for hundreds of steps, each of which costs the room; for others compiling another
    program would take longer than what is left to do.
    """
    small = Capacity(**{name: max(size // 8, 1) for name, size in vars(room).items()})
    walking = [(each, each.edges) for each in crew if each.edges is not None]
    long = all(int(each.progress.steps[0]) >= STRAGGLING for each, _ in walking)
    crystals, edges = [each.crystal for each, _ in walking], [edges for _, edges in walking]
    return small if long and fits(room_for(crystals, edges), small) else room


def _enough(queue: deque[_Walker], reach: float) -> Capacity:
    """The standard room, or room for all crystals where that is less."""
    full = standard_room()
    need = Capacity(0, 0, 0, 0)
    for walker in queue:
        _look_around(walker, reach)
        if walker.edges is not None:
            need = together(need, room_for([walker.crystal], [walker.edges]))
        if not fits(need, full):
            return full
    return rounded(need)


def _look_around(walker: _Walker, reach: float) -> None:
    """Find a crystal's edges, if it walks and has none."""
    if not walker.walking or walker.edges is not None:
        return
    walker.edges = find_edges(walker.crystal, reach)
    if walker.edges is None:
        code = np.array([COLLAPSED], np.int32)
        walker.progress = dataclasses.replace(walker.progress, code=code)


def _walk(
    potential: AnyPotential,
    crew: list[_Walker],
    room: Capacity,
    settings: WalkSettings,
) -> None:
    """Let those of the crew that can take some steps."""
    able = [(walker, walker.edges) for walker in crew if walker.edges is not None]
    if not able:
        return
    crystals, edges = [walker.crystal for walker, _ in able], [edges for _, edges in able]
    packed, free, lattice = pack(crystals, edges, room)
    memory, progress = (
        jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
        for parts in zip(*((walker.memory, walker.progress) for walker, _ in able), strict=True)
    )
    memory = Memory(
        sites=jax.tree.map(lambda rows: _padded(rows, room.sites), memory.sites),
        crystals=jax.tree.map(lambda rows: _padded(rows, room.crystals), memory.crystals),
    )
    progress = jax.tree.map(lambda rows: _padded(rows, room.crystals, 1), progress)  # not walking
    place, memory, progress = jax.device_get(
        walk(potential, packed, Place(free, lattice), memory, progress, settings=settings)
    )
    first = 0
    for number, (walker, _) in enumerate(able):
        own = slice(first, first + len(walker.crystal.wyckoff))
        first = own.stop
        walker.crystal = dataclasses.replace(
            walker.crystal,
            free=_wrapped(np.asarray(walker.crystal.wyckoff), place.free[own]),
            lattice=_family(place.lattice[number], walker.crystal.group),
        )
        walker.memory = Memory(
            sites=take(memory.sites, own), crystals=take(memory.crystals, slice(number, number + 1))
        )
        walker.progress = take(progress, slice(number, number + 1))
        walker.edges = None


def _family(lattice: np.ndarray, group: ArrayLike) -> np.ndarray:
    """Lattice coefficients with those that the group fixes exactly at their values."""
    return np.asarray(constrain_lattice(lattice.astype(np.float64), np.asarray(group)))


def _wrapped(wyckoff: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Free coordinates as a crystal holds them."""
    return np.where(free_mask(wyckoff), wrap(free.astype(np.float64)), 0)


def _padded(rows: np.ndarray, size: int, value: float = 0) -> np.ndarray:
    rest = [(0, size - len(rows)), *[(0, 0)] * (rows.ndim - 1)]
    return np.pad(rows, rest, constant_values=value)


def _relaxed(walker: _Walker) -> Relaxed:
    progress = jax.tree.map(lambda rows: rows[0].item(), walker.progress)
    atoms = int(num_atoms(walker.crystal))
    return Relaxed(
        crystal=walker.crystal,
        outcome=OUTCOMES[progress.code],
        steps=progress.steps,
        energy=progress.energy / atoms,
        start_energy=progress.start / atoms,
        force=progress.force,
        stress=progress.stress,
        path=tuple(crystal for crystal, _ in walker.path),
        energies=tuple(energy / atoms for _, energy in walker.path),
    )
