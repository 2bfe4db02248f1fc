"""DiffCSP++ (Jiao et al., ICLR 2024): diffusion of lattice and free coordinates in a template.

Group and Wyckoff positions are given (from the training set, or by the user). The lattice
coefficients follow a variance-preserving Gaussian process on those that the group leaves free; the
free coordinates a variance-exploding wrapped normal on their torus. With ``species="generated"``
the elements are drawn too. The denoiser is a CSPNet on the full cell: what it says at each atom is
projected onto the atom's Wyckoff tangent space and averaged over the orbit; the orbit network can
stand in its place. Sampling is predictor-corrector, two network calls a step.

Where this differs from the published code: noise on an orbit is isotropic in its free coordinates,
not in those of an anchor atom; lattice coefficients are standardised, k6 as the volume per atom;
elements follow a discrete (absorbing) process, not a Gaussian on one-hot vectors.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.nn.backbone import (
    BackboneConfig,
    backbone_cost,
    init_backbone,
    run_backbone,
    validate_backbone,
)
from jaxcrys.nn.cspnet import CSPNetConfig
from jaxcrys.nn.orbit_net import OrbitNetConfig
from jaxcrys.processes import discrete, gaussian, wrapped_normal
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.factors import Masks, masks_of, mean_over_atoms, weighted_loss
from jaxcrys.recipes.lattice_scale import fit_scale, from_standard, to_standard
from jaxcrys.recipes.properties import Target
from jaxcrys.symmetry.wyckoff import free_mask

NUM_SPECIES = 118
STEPS = 1000
NETWORK_TIME = 1000.0
"""The network reads time on this scale, however many steps the processes have."""

MISFIT_TIMES = (200, 300, 400)
"""When :func:`misfit` looks."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        species: whether the elements are generated (de novo) or given (structure prediction).
        network: which network, and its size.
        lattice_process: process of the free lattice coefficients.
        free_process: process of the free coordinates.
        species_process: process of the elements.
        lattice_weight: weight of the lattice in the loss; likewise the other two.
        lattice_mean: mean of each standardised coefficient in the training set.
        lattice_scale: standard deviation of each.
        sampler_steps: predictor-corrector steps, each of two network calls.
        corrector_step: step size of the Langevin corrector.
    """

    species: Literal["generated", "given"] = "generated"
    network: BackboneConfig = CSPNetConfig()
    lattice_process: gaussian.MaskedGaussian = gaussian.MaskedGaussian(steps=STEPS, clip=10.0)
    free_process: wrapped_normal.WrappedNormal = wrapped_normal.WrappedNormal(steps=STEPS)
    species_process: discrete.Discrete = discrete.Discrete(
        kind="absorbing", num_classes=NUM_SPECIES, steps=STEPS, schedule="mutual_information"
    )
    lattice_weight: float = 1.0
    free_weight: float = 1.0
    species_weight: float = 1.0
    lattice_mean: tuple[float, ...] = (0.0,) * 6
    lattice_scale: tuple[float, ...] = (1.0,) * 6
    sampler_steps: int = STEPS
    corrector_step: float = 1e-5


@pytree
class State:
    """A noisy crystal: standardised lattice, free coordinates, species classes.

    Attributes:
        lattice: standardised free coefficients, 0 where the group fixes them.
        free: free coordinates.
        species: class of each site, atomic number − 1; ``num_classes`` is the unknown element.
    """

    lattice: Float[ArrayLike, "*b 6"]
    free: Float[ArrayLike, "*b s 3"]
    species: Int[ArrayLike, "*b s"]


@pytree
class Prediction:
    """What the denoiser says: lattice noise, normalised scores, species logits."""

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Float[ArrayLike, "b s z"]


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    validate_backbone(config.network)
    gaussian.validate(config.lattice_process)
    wrapped_normal.validate(config.free_process)
    discrete.validate(config.species_process)
    processes = (config.lattice_process, config.free_process, config.species_process)
    if any(process.steps != STEPS for process in processes):
        raise InputError("steps", f"must be {STEPS} in all three processes")
    if not 1 <= config.sampler_steps <= STEPS:
        raise InputError("sampler_steps", f"must be 1 to {STEPS}, got {config.sampler_steps}")
    for name in ("lattice_weight", "free_weight", "species_weight", "corrector_step"):
        if not getattr(config, name) >= 0:
            raise InputError(name, f"must not be negative, got {getattr(config, name)}")
    for name in ("lattice_mean", "lattice_scale"):
        if len(getattr(config, name)) != 6:
            raise InputError(name, f"must have 6 numbers, has {len(getattr(config, name))}")


def fit(config: Config, crystals: Crystal) -> Config:
    """Take the scale of the lattice coefficients from the training set."""
    mean, scale = fit_scale(crystals)
    return dataclasses.replace(config, lattice_mean=mean, lattice_scale=scale)


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_backbone(key, config.network)


def loss(
    params: Params,
    key: Key[jax.Array, ""],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
    properties: Float[ArrayLike, "b p"] | None = None,
    training: bool = False,
) -> tuple[Float[jax.Array, ""], Metrics]:
    """Denoising loss at a random time for each crystal."""
    del properties
    batch = crystals.group.shape[0]
    keys = _factor_keys(jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch)))
    time = jax.vmap(lambda k: jax.random.randint(k, (), 1, STEPS + 1))(keys["time"])
    clean = _state(crystals, config)
    masks = masks_of(crystals)
    noisy, noise, score = jax.vmap(_corrupt, (None, 0, 0, 0, 0))(config, keys, clean, time, masks)
    dropout = jax.random.fold_in(key, batch) if training else None
    predicted = denoise(params, crystals, noisy, time, config=config, shape=shape, dropout=dropout)
    lattice = jax.vmap(gaussian.loss, (None, 0, 0, 0))(
        config.lattice_process, predicted.lattice, noise, masks.lattice
    )
    free = jax.vmap(wrapped_normal.loss, (None, 0, 0, 0))(
        config.free_process, predicted.free, score, masks.free
    )
    metrics = {"lattice": _total(lattice), "free": _total(free)}
    if config.species == "generated":
        species = jax.vmap(discrete.loss, (None, 0, 0, 0, 0, 0))(
            config.species_process,
            predicted.species,
            clean.species,
            noisy.species,
            time,
            masks.species,
        )
        metrics["species"] = _total(species)
    weights = {name: getattr(config, f"{name}_weight") for name in metrics}
    return weighted_loss(metrics, weights), metrics


def misfit(
    params: Params,
    keys: Key[jax.Array, "b"],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> Float[jax.Array, "b"]:
    """How badly the network recovers each crystal from its own noisy states.

    The squared error of the score, a mean over atoms, at a few early times of the noise.
    """
    total = jnp.zeros(crystals.group.shape)
    clean, masks = _state(crystals, config), masks_of(crystals)
    for when in MISFIT_TIMES:
        time = jnp.full(crystals.group.shape, when)
        drawn = _factor_keys(jax.vmap(jax.random.fold_in, (0, None))(keys, when))
        settings = dataclasses.replace(config, species="given")
        noisy, _, score = jax.vmap(_corrupt, (None, 0, 0, 0, 0))(
            settings, drawn, clean, time, masks
        )
        predicted = denoise(params, crystals, noisy, time, config=config, shape=shape)
        squared = jnp.where(masks.free, (predicted.free - score) ** 2, 0).sum(-1)
        total = total + mean_over_atoms(squared, crystals)
    return total / len(MISFIT_TIMES)


def sample(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    *,
    config: Config,
    shape: CellShape,
    target: Target | None = None,
) -> Crystal:
    """Draw lattice and free coordinates (and elements) for the groups and positions given.

    Elements that the templates give are kept; sites with species 0 are filled, which a recipe
    trained with given species cannot do. ``free`` and ``lattice`` of the templates are ignored.
    """
    del target  # nothing can be asked for
    masks = masks_of(templates)
    masks = dataclasses.replace(masks, species=masks.species & (templates.species == 0))
    grid = np.rint(np.linspace(STEPS, 0, config.sampler_steps + 1)).astype(np.int32)
    first = _factor_keys(keys)
    state = jax.vmap(_prior, (None, 0, 0, 0))(config, first, templates, masks)

    def one_step(state: State, times: tuple[jax.Array, jax.Array]) -> tuple[State, None]:
        now, then = times
        time = jnp.full(templates.group.shape, now)
        step_keys = _factor_keys(jax.vmap(jax.random.fold_in, (0, None))(keys, now))
        predicted = denoise(params, templates, state, time, config=config, shape=shape)
        state = jax.vmap(_correct, (None, 0, 0, None, 0, 0))(
            config, step_keys, state, now, predicted, masks
        )
        predicted = denoise(params, templates, state, time, config=config, shape=shape)
        state = jax.vmap(_predict, (None, 0, 0, None, None, 0, 0))(
            config, step_keys, state, now, then, predicted, masks
        )
        return state, None

    state, _ = jax.lax.scan(one_step, state, (jnp.asarray(grid[:-1]), jnp.asarray(grid[1:])))
    return _crystal(templates, state, config)


def denoise(
    params: Params,
    templates: Crystal,
    state: State,
    time: Int[jax.Array, "b"],
    *,
    config: Config,
    shape: CellShape,
    dropout: Key[jax.Array, ""] | None = None,
) -> Prediction:
    """Run the network on noisy crystals."""
    occupied = templates.wyckoff > 0
    # The unknown class is one past the last element; the network knows it as atomic number 0.
    species = jnp.where(occupied, (state.species + 1) % (NUM_SPECIES + 1), 0)
    noisy = dataclasses.replace(_crystal(templates, state, config), species=species)
    clock = time.astype(jnp.float32) * (NETWORK_TIME / STEPS)
    output = run_backbone(
        config.network, params, noisy, state.lattice, clock, shape=shape, dropout=dropout
    )
    return Prediction(lattice=output.lattice, free=output.free, species=output.species[..., 1:])


Keys = dict[str, jax.Array]


def _factor_keys(keys: Key[jax.Array, "b"]) -> Keys:
    """For each sample one key for each use of randomness."""
    names = ("time", "lattice", "free", "species", "corrector")
    return jax.vmap(lambda key: streams(key, *names))(keys)


def _corrupt(
    config: Config, keys: Keys, clean: State, time: jax.Array, masks: Masks
) -> tuple[State, jax.Array, jax.Array]:
    lattice, noise = gaussian.corrupt(
        config.lattice_process, keys["lattice"], clean.lattice, time, masks.lattice
    )
    free, score = wrapped_normal.corrupt(
        config.free_process, keys["free"], clean.free, time, masks.free
    )
    species = clean.species
    if config.species == "generated":
        species = discrete.corrupt(
            config.species_process, keys["species"], species, time, masks.species
        )
    return State(lattice=lattice, free=free, species=species), noise, score


def _prior(config: Config, keys: Keys, template: Crystal, masks: Masks) -> State:
    clean = _state(template, config)
    species = clean.species
    if config.species == "generated":
        species = discrete.prior(config.species_process, keys["species"], masks.species, species)
    return State(
        lattice=gaussian.prior(
            config.lattice_process, keys["lattice"], masks.lattice, jnp.zeros(6)
        ),
        free=wrapped_normal.prior(
            config.free_process, keys["free"], masks.free, jnp.zeros_like(template.free)
        ),
        species=species,
    )


def _correct(
    config: Config,
    keys: Keys,
    state: State,
    now: jax.Array,
    predicted: Prediction,
    masks: Masks,
) -> State:
    free = wrapped_normal.correct(
        config.free_process,
        keys["corrector"],
        state.free,
        now,
        predicted.free,
        masks.free,
        config.corrector_step,
    )
    return dataclasses.replace(state, free=free)


def _predict(
    config: Config,
    keys: Keys,
    state: State,
    now: jax.Array,
    then: jax.Array,
    predicted: Prediction,
    masks: Masks,
) -> State:
    lattice = gaussian.step(
        config.lattice_process,
        keys["lattice"],
        state.lattice,
        now,
        then,
        predicted.lattice,
        masks.lattice,
    )
    free = wrapped_normal.step(
        config.free_process,
        keys["free"],
        state.free,
        now,
        then,
        predicted.free,
        masks.free,
    )
    species = state.species
    if config.species == "generated":
        species = discrete.step(
            config.species_process,
            keys["species"],
            species,
            now,
            then,
            predicted.species,
            masks.species,
        )
    return State(lattice=lattice, free=free, species=species)


def _state(crystals: Crystal, config: Config) -> State:
    return State(
        lattice=to_standard(crystals, config.lattice_mean, config.lattice_scale),
        free=crystals.free,
        species=jnp.maximum(crystals.species - 1, 0),
    )


def _crystal(templates: Crystal, state: State, config: Config) -> Crystal:
    scale = (config.lattice_mean, config.lattice_scale)
    return Crystal(
        group=templates.group,
        wyckoff=templates.wyckoff,
        species=jnp.where(templates.wyckoff > 0, state.species + 1, 0),
        free=jnp.where(free_mask(templates.wyckoff), state.free, 0),
        lattice=from_standard(state.lattice, templates, *scale),
    )


def _total(sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    value, count = sums
    return value.sum(), count.sum().astype(value.dtype)


def _generates_species(config: Config) -> bool:
    return config.species == "generated"


def _cost(config: Config) -> Cost:
    return backbone_cost(config.network)


PRESETS = {
    "tiny": Config(network=CSPNetConfig(layers=3, channels=48, frequencies=12), sampler_steps=100),
    "small": Config(network=CSPNetConfig(layers=4, channels=128, frequencies=32)),
    "paper": Config(
        network=CSPNetConfig(layers=6, channels=512, frequencies=128, time_channels=256)
    ),
    "orbit": Config(network=OrbitNetConfig(layers=4, channels=64)),
}

RECIPE = Recipe(
    makes="crystals",
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    cost=_cost,
    sample=sample,
    misfit=misfit,
    generates_species=_generates_species,
)
