"""Crystals from nothing on the asymmetric unit (after SymmCD, Levy et al., ICLR 2025).

The space group and the number of sites are drawn from their shares in the training set. Then four
things are denoised together: the site symmetry of each site and its element by discrete diffusion,
whose stationary distributions are the shares in the group and in the training set; the coordinates
by a wrapped-normal process; the free lattice coefficients by a Gaussian one. The network sees one
representative of each orbit, and no symmetry copies. At the end each site takes the nearest
position that is not full, and its coordinates are projected onto it, so every crystal is one.

As published, site symmetry is written as the symmetry elements on fifteen axes and coordinates are
those of the representative, unconstrained. With ``sites="positions"`` it is the position itself,
and nothing is decoded. With ``coordinates="free"`` the noise acts on the free coordinates: a site
always carries three, of which its position uses as many as it has, and the rest are uniform, which
the noise leaves as they are; so neither do the coordinates betray the position in training, nor is
anything projected. Then the noisy sites are those of a crystal, and with ``images`` messages come
from the nearest symmetry images of each site in place of its representative. With ``evidence``
the network does not learn what a noisy element or symmetry tells of the clean one, which is known,
and with ``network.copies`` that the sites of a crystal share their elements is built into it.

Where this differs from the published code: representatives are the first of the tables, their
coordinates those of the data; k6 is standardised as the volume per atom; symmetry elements that no
position of the group has are impossible at every step, not at the end alone.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.equivalents import random_equivalent
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.nn import site_net
from jaxcrys.nn.image_edges import nearest_images
from jaxcrys.nn.site_net import SiteNetConfig, Sites, init_site_net, run_site_net
from jaxcrys.processes import discrete, gaussian, wrapped_normal
from jaxcrys.processes.categorical import draw, normalise
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.recipes import census as census_module
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.census import (
    NUM_ELEMENTS,
    Census,
    element_shares,
    fit_census,
    group_shares,
    log_of,
    site_shares,
)
from jaxcrys.recipes.factors import in_slots, masks_of, weighted_loss
from jaxcrys.recipes.group_prior import draw_groups
from jaxcrys.recipes.lattice_scale import fit_scale, from_standard, to_standard
from jaxcrys.recipes.properties import Target
from jaxcrys.recipes.site_description import AXES, POSITIONS, Given, SiteDescription
from jaxcrys.recipes.site_diffusion import (
    Frame,
    Prediction,
    Processes,
    State,
    add_evidence,
    correct,
    corrupt,
    losses,
    prior,
    step,
)
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.orbits import representative
from jaxcrys.symmetry.wyckoff import free_mask, position_at

STEPS = 1000
"""Of all processes; the network reads time on this scale."""

DESCRIPTIONS = {"axes": AXES, "positions": POSITIONS}

STREAMS = (
    *("time", "group", "sites", "lattice", "coordinates", "species", "symmetry", "corrector"),
    *("unused", "description", "decoding"),
)
"""Uses of randomness."""

Carry = tuple[State, ArrayLike]


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        sites: how the symmetry of a site is written: as elements on axes, or as a position.
        coordinates: what the noise acts on: the representative, or the free coordinates.
        images: of how many nearest images of each site messages come; 0 for its representative.
        evidence: whether what a noisy class says of the clean one is added to the logits in closed
            form (``processes.discrete.with_evidence``), or left to the network.
        network: size of the network.
        lattice_process: process of the free lattice coefficients.
        coordinate_process: process of the coordinates.
        lattice_weight: weight of the lattice in the loss; likewise the other three.
        augment: whether training shows equivalent descriptions.
        census: what was counted in the training set.
        lattice_mean: mean of each standardised coefficient in the training set.
        lattice_scale: standard deviation of each.
        sampler_steps: steps of the sampler.
        corrector_step: step size of the Langevin corrector of the coordinates, a second network
            call in each step; 0 for none.
    """

    sites: Literal["axes", "positions"] = "axes"
    coordinates: Literal["representative", "free"] = "representative"
    images: int = 0
    evidence: bool = False
    network: SiteNetConfig = SiteNetConfig()
    lattice_process: gaussian.MaskedGaussian = gaussian.MaskedGaussian(steps=STEPS, clip=10.0)
    coordinate_process: wrapped_normal.WrappedNormal = wrapped_normal.WrappedNormal(steps=STEPS)
    lattice_weight: float = 5.0
    coordinates_weight: float = 1.0
    species_weight: float = 0.1
    symmetry_weight: float = 10.0
    augment: bool = False
    census: Census = Census()
    lattice_mean: tuple[float, ...] = (0.0,) * 6
    lattice_scale: tuple[float, ...] = (1.0,) * 6
    sampler_steps: int = STEPS
    corrector_step: float = 1e-5

    @property
    def description(self) -> SiteDescription:
        """How a site symmetry is written."""
        return DESCRIPTIONS[self.sites]

    @property
    def processes(self) -> Processes:
        """A process for each factor."""
        return Processes(
            lattice=self.lattice_process,
            coordinates=self.coordinate_process,
            species=discrete.Discrete("marginal", NUM_ELEMENTS, steps=STEPS),
            symmetry=discrete.Discrete("marginal", self.description.classes, steps=STEPS),
        )


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    site_net.validate(config.network)
    gaussian.validate(config.lattice_process)
    wrapped_normal.validate(config.coordinate_process)
    census_module.validate(config.census)
    if config.coordinates == "free" and config.sites != "positions":
        raise InputError(
            "coordinates", "free coordinates are those of a position", 'set sites="positions"'
        )
    if config.images < 0:
        raise InputError("images", f"must not be negative, got {config.images}")
    if config.images and config.coordinates != "free":
        raise InputError(
            "images", "are those of free coordinates", 'set sites="positions", coordinates="free"'
        )
    if config.network.species != NUM_ELEMENTS + 1:
        raise InputError("network.species", f"must be {NUM_ELEMENTS + 1}")
    if any(p.steps != STEPS for p in (config.lattice_process, config.coordinate_process)):
        raise InputError("steps", f"must be {STEPS} in all processes")
    if not 1 <= config.sampler_steps <= STEPS:
        raise InputError("sampler_steps", f"must be 1 to {STEPS}, got {config.sampler_steps}")
    weights = ("lattice_weight", "coordinates_weight", "species_weight", "symmetry_weight")
    for name in (*weights, "corrector_step"):
        if not getattr(config, name) >= 0:
            raise InputError(name, f"must not be negative, got {getattr(config, name)}")
    for name in ("lattice_mean", "lattice_scale"):
        if len(getattr(config, name)) != 6:
            raise InputError(name, f"must have 6 numbers, has {len(getattr(config, name))}")


def fit(config: Config, crystals: Crystal) -> Config:
    """Count the training set, and take the scale of the lattice coefficients from it."""
    mean, scale = fit_scale(crystals)
    return dataclasses.replace(
        config, census=fit_census(crystals), lattice_mean=mean, lattice_scale=scale
    )


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    return init_site_net(key, config.network, features=config.description.features)


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
    del shape, properties
    keys = _streams(jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(crystals.group))))
    if training and config.augment:
        crystals = jax.vmap(random_equivalent)(keys["description"], crystals)
    time = jax.vmap(lambda k: jax.random.randint(k, (), 1, STEPS + 1))(keys["time"])
    frame = _frame_of(crystals, config)
    clean = _clean(keys["unused"], crystals, config)
    noisy, target = jax.vmap(corrupt, (None, 0, 0, 0, 0))(
        config.processes, keys, clean, time, frame
    )
    if config.coordinates == "free":  # what the position does not use is uniform at all times
        score = jnp.where(free_mask(crystals.wyckoff), target.coordinates, 0)
        target = dataclasses.replace(target, coordinates=score)
    predicted = denoise(params, frame, noisy, time, config=config)
    parts = jax.vmap(losses, (None, 0, 0, 0, 0, 0))(
        config.processes, predicted, target, noisy, time, frame
    )
    parts = jax.tree.map(jnp.sum, parts)
    weights = {name: getattr(config, f"{name}_weight") for name in parts}
    return weighted_loss(parts, weights), parts


def complete(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    limits: Limits,
    *,
    config: Config,
    sites: int,
    target: Target | None = None,
) -> Crystal:
    """Draw crystals, or what templates leave open.

    Args:
        params: of the network.
        keys: one for each sample.
        templates: group 0 is to be drawn; sites that are given stay, with their element where it
            is not 0, and more may follow. Their geometry is ignored.
        limits: groups and elements that may be drawn.
        config: settings.
        sites: most sites.
        target: nothing is learned of properties.
    """
    del target
    first, given = _streams(keys), in_slots(templates, sites)
    frame = _frame(first, given, limits, config)
    state = jax.vmap(prior, (None, 0, 0, 0))(config.processes, first, _blank(given, config), frame)
    grid = np.rint(np.linspace(STEPS, 0, config.sampler_steps + 1)).astype(np.int32)

    def one_step(carry: Carry, times: tuple[jax.Array, jax.Array]) -> tuple[Carry, None]:
        (state, _), (now, then) = carry, times
        time = jnp.full(frame.group.shape, now)
        own = _streams(jax.vmap(jax.random.fold_in, (0, None))(keys, now))
        if config.corrector_step:
            predicted = denoise(params, frame, state, time, config=config)
            corrected = jax.vmap(correct, (None, 0, 0, None, 0, 0, None))(
                config.processes, own, state, now, predicted, frame, config.corrector_step
            )
            state = dataclasses.replace(state, coordinates=corrected)
        predicted = denoise(params, frame, state, time, config=config)
        state = jax.vmap(step, (None, 0, 0, None, None, 0, 0))(
            config.processes, own, state, now, then, predicted, frame
        )
        return (state, predicted.symmetry), None

    # Carried along is what the network said last of the sites, for those that turn out full.
    belief = jnp.zeros((*state.symmetry.shape, config.description.classes))
    times = (jnp.asarray(grid[:-1]), jnp.asarray(grid[1:]))
    (state, belief), _ = jax.lax.scan(one_step, (state, belief), times)
    open_sites = Given(frame.group, frame.occupied, given.wyckoff)
    wyckoff, free = config.description.decode(
        first["decoding"], open_sites, state.symmetry, belief, state.coordinates
    )
    drawn = Crystal(
        group=frame.group,
        wyckoff=wyckoff,
        species=jnp.where(wyckoff > 0, state.species + 1, 0),
        free=free,
        lattice=jnp.zeros_like(state.lattice),
    )
    lattice = from_standard(state.lattice, drawn, config.lattice_mean, config.lattice_scale)
    return dataclasses.replace(drawn, lattice=lattice)


def sizes(
    keys: Key[jax.Array, "b"], templates: Crystal, limits: Limits, *, config: Config
) -> Int[jax.Array, "b"]:
    """Number of sites of each sample that :func:`complete` draws."""
    return _frame(_streams(keys), templates, limits, config).occupied.sum(-1)


def denoise(
    params: Params,
    frame: Frame,
    state: State,
    time: Int[jax.Array, "b"],
    *,
    config: Config,
) -> Prediction:
    """Run the network on noisy asymmetric units."""
    frac, images = state.coordinates, None
    if config.coordinates == "free":
        crystals = _noisy_crystals(frame, state, config)
        frac = representative(crystals.wyckoff, crystals.free)
        if config.images:
            matrix = matrix_from_coefficients(crystals.lattice)
            images = nearest_images(crystals.wyckoff, crystals.free, matrix, count=config.images)
    seen = Sites(
        group=frame.group,
        occupied=frame.occupied,
        species=jnp.where(frame.occupied, state.species + 1, 0),
        symmetry=config.description.read(frame.group, state.symmetry),
        frac=frac,
        place=state.coordinates,
        lattice=state.lattice,
        images=images,
    )
    said = run_site_net(config.network, params, seen, time.astype(jnp.float32))
    symmetry = config.description.answer(frame.group, said.symmetry)
    predicted = Prediction(
        lattice=said.lattice,
        coordinates=said.vectors,
        species=jnp.where(frame.log_species > -jnp.inf, said.species[..., 1:], -jnp.inf),
        symmetry=jnp.where(frame.log_symmetry > -jnp.inf, symmetry, -jnp.inf),
    )
    if config.evidence:
        add = jax.vmap(add_evidence, (None, 0, 0, 0, 0))
        predicted = add(config.processes, predicted, state, time, frame)
    return predicted


def _noisy_crystals(frame: Frame, state: State, config: Config) -> Crystal:
    """The crystals that states of positions and free coordinates describe."""
    wyckoff = position_at(frame.group[:, None], state.symmetry[..., 0])
    wyckoff = jnp.where(frame.occupied, wyckoff, 0)
    crystals = Crystal(
        group=frame.group,
        wyckoff=wyckoff,
        species=jnp.where(frame.occupied, state.species + 1, 0),
        free=jnp.where(free_mask(wyckoff), state.coordinates, 0),
        lattice=state.lattice,
    )
    lattice = from_standard(state.lattice, crystals, config.lattice_mean, config.lattice_scale)
    return dataclasses.replace(crystals, lattice=lattice)


def _streams(keys: Key[jax.Array, "b"]) -> dict[str, jax.Array]:
    """For each sample one key for each use of randomness."""
    return jax.vmap(lambda key: streams(key, *STREAMS))(keys)


def _frame_of(crystals: Crystal, config: Config) -> Frame:
    """The frame of finished crystals."""
    masks = masks_of(crystals)
    log_species = jnp.asarray(log_of(element_shares(config.census)))
    return Frame(
        group=crystals.group,
        lattice=masks.lattice,
        occupied=masks.species,
        species=masks.species,
        symmetry=masks.species,
        log_species=jnp.broadcast_to(log_species, (len(crystals.group), 1, NUM_ELEMENTS)),
        log_symmetry=config.description.log_marginal(config.census, crystals.group),
    )


def _frame(keys: dict[str, jax.Array], given: Crystal, limits: Limits, config: Config) -> Frame:
    """Draw the group and the number of sites where they are not given."""
    log_groups = log_of(group_shares(config.census))[1:]
    drawn = draw_groups(keys["group"], log_groups, limits.groups)
    group = jnp.where(given.group > 0, given.group, drawn)
    logits = jnp.asarray(log_of(site_shares(config.census)))[group]
    fits = jnp.arange(logits.shape[-1]) < given.wyckoff.shape[-1]
    number = 1 + jax.vmap(draw)(keys["sites"], normalise(jnp.where(fits, logits, -jnp.inf)))
    fixed = given.wyckoff > 0
    more = number - fixed.sum(-1)
    occupied = fixed | (jnp.cumsum(~fixed, -1) <= more[:, None])
    log_species = jnp.asarray(log_of(element_shares(config.census)))
    log_species = normalise(jnp.where(limits.allowed[..., 1:], log_species, -jnp.inf))
    return Frame(
        group=group.astype(jnp.int32),
        lattice=jnp.asarray(lattice_mask(group)),
        occupied=occupied,
        species=occupied & (given.species == 0),
        symmetry=occupied & ~fixed,
        log_species=jnp.broadcast_to(log_species, (len(group), NUM_ELEMENTS))[:, None],
        log_symmetry=config.description.log_marginal(config.census, group),
    )


def _blank(given: Crystal, config: Config) -> State:
    """What is given, and zeros."""
    return State(
        lattice=jnp.zeros(given.lattice.shape),
        coordinates=jnp.zeros((*given.wyckoff.shape, 3)),
        species=jnp.maximum(given.species - 1, 0),
        symmetry=config.description.encode(given.wyckoff),
    )


def _clean(keys: Key[jax.Array, "b"], crystals: Crystal, config: Config) -> State:
    if config.coordinates == "free":
        uniform = jax.vmap(lambda key, x: jax.random.uniform(key, x.shape))(keys, crystals.free)
        coordinates = jnp.where(free_mask(crystals.wyckoff), crystals.free, uniform)
    else:
        coordinates = representative(crystals.wyckoff, crystals.free)
    return State(
        lattice=to_standard(crystals, config.lattice_mean, config.lattice_scale),
        coordinates=coordinates,
        species=jnp.maximum(crystals.species - 1, 0),
        symmetry=config.description.encode(crystals.wyckoff),
    )


def _cost(config: Config) -> Cost:
    del config
    return lambda sites, atoms, images: sites**2


PRESETS = {
    "tiny": Config(network=SiteNetConfig(layers=2, channels=48, frequencies=12), sampler_steps=100),
    "small": Config(sampler_steps=100),
    "paper": Config(
        network=SiteNetConfig(layers=8, channels=1024, frequencies=128, time_channels=256)
    ),
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
    complete=complete,
    sizes=sizes,
    obeys=frozenset(("groups", "allowed")),
)
