"""Joint diffusion of an asymmetric unit: lattice, coordinates, elements and site symmetries.

Each of the four has its own process, and all share their times. Of a crystal's *frame*, its group
and which sites exist, nothing changes. Functions are for one crystal: ``vmap`` over batches.
"""

import dataclasses
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int
from jaxcrys.processes import discrete, gaussian, wrapped_normal
from jaxcrys.processes.discrete import Discrete
from jaxcrys.processes.gaussian import MaskedGaussian
from jaxcrys.processes.wrapped_normal import WrappedNormal
from jaxcrys.recipes.base import Metrics

Keys = dict[str, jax.Array]
"""A key for each of the factors, and for the ``corrector``."""


class Processes(NamedTuple):
    """A process for each factor."""

    lattice: MaskedGaussian
    coordinates: WrappedNormal
    species: Discrete
    symmetry: Discrete


@pytree
class State:
    """A noisy crystal.

    Attributes:
        lattice: standardised free coefficients, 0 where the group fixes them.
        coordinates: three for each site, with period 1.
        species: class of each site, atomic number − 1.
        symmetry: categories of each site (``recipes.site_description``).
    """

    lattice: Float[ArrayLike, "*b 6"]
    coordinates: Float[ArrayLike, "*b s 3"]
    species: Int[ArrayLike, "*b s"]
    symmetry: Int[ArrayLike, "*b s e"]


@pytree
class Prediction:
    """What the denoiser says.

    Attributes:
        lattice: noise of the lattice.
        coordinates: normalised scores.
        species: logits of the elements, -inf where forbidden.
        symmetry: logits of the categories, likewise.
    """

    lattice: Float[ArrayLike, "*b 6"]
    coordinates: Float[ArrayLike, "*b s 3"]
    species: Float[ArrayLike, "*b s z"]
    symmetry: Float[ArrayLike, "*b s e k"]


@pytree
class Frame:
    """What is settled before anything is denoised.

    Attributes:
        group: space group.
        lattice: which lattice coefficients are free.
        occupied: which sites exist.
        species: which of them have an element to be drawn.
        symmetry: which of them have a position to be drawn.
        log_species: log π of the elements, -inf for those that are forbidden.
        log_symmetry: log π of the categories, -inf for what no position of the group has.
    """

    group: Int[ArrayLike, "*b"]
    lattice: Bool[ArrayLike, "*b 6"]
    occupied: Bool[ArrayLike, "*b s"]
    species: Bool[ArrayLike, "*b s"]
    symmetry: Bool[ArrayLike, "*b s"]
    log_species: Float[ArrayLike, "*b 1 z"]
    log_symmetry: Float[ArrayLike, "*b 1 e k"]


def corrupt(
    processes: Processes,
    keys: Keys,
    clean: State,
    time: Int[ArrayLike, ""],
    frame: Frame,
) -> tuple[State, State]:
    """A noisy state, and the targets: noise of the lattice, score, and the clean classes."""
    noisy, target = {}, {"species": clean.species, "symmetry": clean.symmetry}
    for name, module in _MODULES.items():
        process, value = getattr(processes, name), getattr(clean, name)
        mask = _mask(frame, clean, name)
        made = module.corrupt(process, keys[name], value, time, mask, **_settings(frame, name))
        if module is discrete:
            noisy[name] = made
        else:
            noisy[name], target[name] = made
    return State(**noisy), State(**target)


def add_evidence(
    processes: Processes,
    predicted: Prediction,
    noisy: State,
    time: Int[ArrayLike, ""],
    frame: Frame,
) -> Prediction:
    """The prediction with what each noisy class itself says of the clean one."""

    def added(name: str) -> jax.Array:
        return discrete.with_evidence(
            getattr(processes, name),
            getattr(predicted, name),
            getattr(noisy, name),
            time,
            **_settings(frame, name),
        )

    names = [name for name, module in _MODULES.items() if module is discrete]
    return dataclasses.replace(predicted, **{name: added(name) for name in names})


def losses(
    processes: Processes,
    predicted: Prediction,
    target: State,
    noisy: State,
    time: Int[ArrayLike, ""],
    frame: Frame,
) -> Metrics:
    """Sum and count of the cost of each factor."""
    parts = {}
    for name, module in _MODULES.items():
        truth = (getattr(target, name),)
        if module is discrete:
            truth = (*truth, getattr(noisy, name), time)
        parts[name] = module.loss(
            getattr(processes, name),
            getattr(predicted, name),
            *truth,
            _mask(frame, noisy, name),
            **_settings(frame, name),
        )
    return parts


def prior(processes: Processes, keys: Keys, given: State, frame: Frame) -> State:
    """A state at the last time; what the frame does not leave open is as in ``given``."""

    def drawn(name: str) -> jax.Array:
        return _MODULES[name].prior(
            getattr(processes, name),
            keys[name],
            _mask(frame, given, name),
            getattr(given, name),
            **_settings(frame, name),
        )

    return State(**{name: drawn(name) for name in _MODULES})


def step(
    processes: Processes,
    keys: Keys,
    state: State,
    now: Int[ArrayLike, ""],
    then: Int[ArrayLike, ""],
    predicted: Prediction,
    frame: Frame,
) -> State:
    """From one time to an earlier one."""

    def moved(name: str) -> jax.Array:
        return _MODULES[name].step(
            getattr(processes, name),
            keys[name],
            getattr(state, name),
            now,
            then,
            getattr(predicted, name),
            _mask(frame, state, name),
            **_settings(frame, name),
        )

    return State(**{name: moved(name) for name in _MODULES})


_MODULES: dict[str, ModuleType] = {
    "lattice": gaussian,
    "coordinates": wrapped_normal,
    "species": discrete,
    "symmetry": discrete,
}


def _mask(frame: Frame, state: State, name: str) -> jax.Array:
    """Which entries of a factor are open; what holds for a site holds for each of its entries."""
    mask = frame.occupied if name == "coordinates" else getattr(frame, name)
    shape = getattr(state, name).shape
    return jnp.broadcast_to(mask.reshape(*mask.shape, *[1] * (len(shape) - mask.ndim)), shape)


def _settings(frame: Frame, name: str) -> dict[str, Any]:
    log_pi = {"species": frame.log_species, "symmetry": frame.log_symmetry}
    return {"log_pi": log_pi[name]} if name in log_pi else {}


def correct(
    processes: Processes,
    keys: Keys,
    state: State,
    now: Int[ArrayLike, ""],
    predicted: Prediction,
    frame: Frame,
    step_size: float,
) -> Float[jax.Array, "s 3"]:
    """The coordinates after a Langevin step at the same time."""
    return wrapped_normal.correct(
        processes.coordinates,
        keys["corrector"],
        state.coordinates,
        now,
        predicted.coordinates,
        _mask(frame, state, "coordinates"),
        step_size,
    )
