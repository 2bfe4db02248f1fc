"""Flow matching of lattice and free coordinates on the orbit network: few steps, exact symmetry.

Group and Wyckoff positions are given. Free coordinates start uniform on their tori and go straight
to the nearest of the equivalent descriptions of the data (``recipes.coupling``); lattice
coefficients start from a normal distribution of the crystal family, with the volume that the
elements suggest, and go straight as well (Lipman et al. 2023; Chen and Lipman 2024 for flows on
manifolds). The network sees sites through their symmetry images; its vectors lie in the Wyckoff
tangent spaces and its tensor has the symmetry of the family, so nothing is projected. With
``species="generated"`` elements are drawn too, from a mask that is lifted site by site.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.rng import streams
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.buckets import orbit_cost
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.atomic_volume import fit_atomic_volumes
from jaxcrys.geometry.lattice import BASIS, FAMILIES, matrix_from_coefficients
from jaxcrys.nn import orbit_net
from jaxcrys.nn.orbit_net import OrbitNet, OrbitNetConfig, run_orbit_net
from jaxcrys.processes import flow
from jaxcrys.recipes.base import Metrics, Params, Recipe
from jaxcrys.recipes.coupling import couple
from jaxcrys.recipes.factors import Masks, masks_of, weighted_loss
from jaxcrys.symmetry.groups import constrain_lattice, lattice_mask
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.wyckoff import multiplicity

NETWORK_TIME = 1000.0
"""The network reads time on this scale."""

_SMALLEST_SCALE = 0.02


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        species: whether the elements are generated (de novo) or given (structure prediction).
        network: size of the orbit network.
        neighbours: neighbours of each site that the network sees.
        cutoff: largest distance of a neighbour, Å.
        free_weight: weight of the coordinates in the loss; likewise the other two.
        steps: network calls of the sampler.
        haste: how much faster than the flow the coordinates go towards the end: 1 + haste · t.
        volumes: volume of an atom of each element, Å^3; entry 0 for an unknown one.
        lattice_mean: mean of each coefficient, for each crystal family.
        lattice_scale: standard deviation of each.
    """

    species: Literal["generated", "given"] = "given"
    network: OrbitNetConfig = OrbitNetConfig()
    neighbours: int = 16
    cutoff: float = 8.0
    lattice_weight: float = 1.0
    free_weight: float = 1.0
    species_weight: float = 0.3
    steps: int = 20
    haste: float = 2.0
    volumes: tuple[float, ...] = (20.0,) * len(SYMBOLS)
    lattice_mean: tuple[tuple[float, ...], ...] = ((0.0,) * 6,) * len(FAMILIES)
    lattice_scale: tuple[tuple[float, ...], ...] = ((0.1,) * 6,) * len(FAMILIES)


@pytree
class State:
    """A crystal on its way: lattice in standard units, free coordinates, elements (0 unknown)."""

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Int[ArrayLike, "b s"]


@pytree
class Velocity:
    """Where the network says a crystal goes: per unit of time; and what its elements are."""

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Float[ArrayLike, "b s z"]


def validate(config: Config) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.
    """
    orbit_net.validate(config.network)
    for name in ("steps", "neighbours"):
        if getattr(config, name) < 1:
            raise InputError(name, f"must be at least 1, got {getattr(config, name)}")
    if not config.cutoff > 0:
        raise InputError("cutoff", f"must be positive, got {config.cutoff}")
    for name in ("lattice_weight", "free_weight", "species_weight", "haste"):
        if not getattr(config, name) >= 0:
            raise InputError(name, f"must not be negative, got {getattr(config, name)}")
    if len(config.volumes) != len(SYMBOLS):
        raise InputError("volumes", f"must have {len(SYMBOLS)} numbers, has {len(config.volumes)}")
    for name in ("lattice_mean", "lattice_scale"):
        if np.shape(getattr(config, name)) != (len(FAMILIES), 6):
            raise InputError(name, f"must have six numbers for each of {len(FAMILIES)} families")


def fit(config: Config, crystals: Crystal) -> Config:
    """Take atomic volumes, and the spread of the lattices of each family, from the data."""
    volumes = fit_atomic_volumes(crystals)
    atoms = np.asarray(num_atoms(crystals)).sum()
    cells = np.exp(np.sqrt(3) * np.asarray(crystals.lattice, float)[:, 5]).sum()
    volumes[0] = cells / atoms
    config = dataclasses.replace(config, volumes=tuple(np.round(volumes, 4).tolist()))
    known = crystals
    if config.species == "generated":
        known = dataclasses.replace(crystals, species=np.zeros_like(crystals.species))
    values = np.asarray(_relative(known, config), float)
    family = load_tables().group_family[np.asarray(crystals.group)]
    mean, scale = np.zeros((2, len(FAMILIES), 6))
    for index in range(len(FAMILIES)):
        own = values[family == index]
        # Families without data borrow the spread of all; what is fixed has none.
        own = own if len(own) > 1 else values
        mean[index], scale[index] = own.mean(0), np.maximum(own.std(0), _SMALLEST_SCALE)
    return dataclasses.replace(
        config,
        lattice_mean=tuple(map(tuple, np.round(mean, 5).tolist())),
        lattice_scale=tuple(map(tuple, np.round(scale, 5).tolist())),
    )


def init(key: Key[jax.Array, ""], config: Config) -> Params:
    """Parameters of the network."""
    crystal = Crystal(
        group=jnp.ones(1, jnp.int32),
        wyckoff=jnp.ones((1, 1), jnp.int32),
        species=jnp.ones((1, 1), jnp.int32),
        free=jnp.zeros((1, 1, 3)),
        lattice=jnp.zeros((1, 6)),
    )
    graph = orbit_graph(crystal, GraphShape(atoms=1, neighbours=config.neighbours))
    return jax.jit(OrbitNet(config.network).init)(key, crystal, graph, jnp.zeros(1))


def loss(
    params: Params,
    key: Key[jax.Array, ""],
    crystals: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> tuple[Float[jax.Array, ""], Metrics]:
    """Squared error of the velocity at a random time for each crystal."""
    batch = crystals.group.shape[0]
    keys = _keys(jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch)))
    time = jax.vmap(jax.random.uniform)(keys["time"])
    masks = masks_of(crystals)
    first = _prior(keys, crystals, masks)
    start, end = couple(crystals, first.free)
    free_way = flow.way(start, end, masks.free, periodic=True)
    hidden = jax.vmap(lambda k, t: jax.random.uniform(k, masks.species.shape[1:]) >= t)(
        keys["species"], time
    )
    hidden &= masks.species & (config.species == "generated")
    known = dataclasses.replace(crystals, species=jnp.where(hidden, 0, crystals.species))
    target = _standard(known if config.species == "given" else _unknown(known), config)
    lattice_way = flow.way(first.lattice, target, masks.lattice, periodic=False)
    state = State(
        lattice=flow.point(first.lattice, lattice_way, time[:, None], periodic=False),
        free=flow.point(start, free_way, time[:, None, None], periodic=True),
        species=known.species,
    )
    velocity = predict(params, crystals, state, time, config=config, shape=shape)
    lattice_error = jnp.where(masks.lattice, velocity.lattice - lattice_way, 0)
    free_error = _in_atomic_radii(crystals, state, velocity.free - free_way, config)
    metrics = {
        "lattice": ((lattice_error**2).sum(), masks.lattice.sum().astype(jnp.float32)),
        "free": ((free_error**2).sum(), masks.free.sum().astype(jnp.float32)),
    }
    if config.species == "generated":
        logs = jax.nn.log_softmax(velocity.species)
        right = jnp.take_along_axis(logs, crystals.species[..., None], -1)[..., 0]
        metrics["species"] = -jnp.where(hidden, right, 0).sum(), hidden.sum().astype(jnp.float32)
    weights = {
        "lattice": config.lattice_weight,
        "free": config.free_weight,
        "species": config.species_weight,
    }
    return weighted_loss(metrics, weights), metrics


def sample(
    params: Params,
    keys: Key[jax.Array, "b"],
    templates: Crystal,
    *,
    config: Config,
    shape: CellShape,
) -> Crystal:
    """Follow the flow from a random start, in ``config.steps`` network calls.

    Elements that the templates give are kept; sites with species 0 are filled, which a recipe
    trained with given species cannot do. ``free`` and ``lattice`` of the templates are ignored.
    """
    masks = masks_of(templates)
    streams_of = _keys(keys)
    state = _prior(streams_of, templates, masks)
    state = dataclasses.replace(state, species=templates.species)
    step = 1 / config.steps

    def one_step(state: State, index: jax.Array) -> tuple[State, None]:
        now = index * step
        time = jnp.full(templates.group.shape, now)
        velocity = predict(params, templates, state, time, config=config, shape=shape)
        lattice = flow.step(
            state.lattice, velocity.lattice, now, step, masks.lattice, periodic=False
        )
        free = flow.step(
            state.free, velocity.free, now, step, masks.free, periodic=True, haste=config.haste
        )
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(streams_of["species"], index)
        last = index == config.steps - 1
        species = jax.vmap(_reveal, (0, 0, 0, None, None))(
            step_keys, state.species, velocity.species, step / (1 - now), last
        )
        return State(
            lattice=lattice,
            free=free,
            species=jnp.where(masks.species, species, 0),
        ), None

    state, _ = jax.lax.scan(one_step, state, jnp.arange(config.steps))
    return _crystal(templates, state, config)


def predict(
    params: Params,
    templates: Crystal,
    state: State,
    time: Float[ArrayLike, "b"],
    *,
    config: Config,
    shape: CellShape,
) -> Velocity:
    """Run the network on crystals on their way.

    Its vectors, in units of the cube root of the volume per atom, become changes of the free
    coordinates by the lattice and the integer left inverse of the tangent basis; its tensor becomes
    a change of the lattice coefficients by the basis B_i.
    """
    crystal = _crystal(templates, state, config)
    graph = orbit_graph(
        crystal,
        GraphShape(atoms=shape.atoms, neighbours=config.neighbours),
        cutoff=config.cutoff,
    )
    output = run_orbit_net(config.network, params, crystal, graph, NETWORK_TIME * time)
    inverse = matrix_from_coefficients(-crystal.lattice)
    length = _atomic_length(crystal)[:, None, None]
    frac = (length * output.vectors)[..., :, None] * inverse[:, None]
    left = lookup(load_tables().position_left_inverse, crystal.wyckoff).astype(frac.dtype)
    free = (left * frac.sum(-2)[..., None, :]).sum(-1)
    basis = jnp.asarray(BASIS, output.tensor.dtype)
    return Velocity(
        lattice=jnp.einsum("bij,kij->bk", output.tensor, basis),
        free=free,
        species=output.logits,
    )


def _keys(keys: Key[jax.Array, "b"]) -> dict[str, jax.Array]:
    """For each sample one key for each use of randomness."""
    return jax.vmap(lambda key: streams(key, "time", "lattice", "free", "species"))(keys)


def _prior(keys: dict[str, jax.Array], crystals: Crystal, masks: Masks) -> State:
    """Uniform coordinates, normal lattice coefficients, unknown elements."""
    free = jax.vmap(lambda key: jax.random.uniform(key, masks.free.shape[1:]))(keys["free"])
    lattice = jax.vmap(lambda key: jax.random.normal(key, (6,)))(keys["lattice"])
    return State(
        lattice=jnp.where(masks.lattice, lattice, 0),
        free=jnp.where(masks.free, free, 0),
        species=jnp.zeros_like(crystals.species),
    )


def _reveal(
    key: Key[jax.Array, ""],
    species: Int[ArrayLike, "s"],
    logits: Float[ArrayLike, "s z"],
    share: Float[jax.Array, ""],
    last: Bool[jax.Array, ""],
) -> Int[ArrayLike, "s"]:
    """Draw the elements of a share of the unknown sites; of all of them in the last step."""
    which, what = jax.random.split(key)
    chosen = (jax.random.uniform(which, species.shape) < share) | last
    no_atom = jnp.arange(logits.shape[-1]) == 0
    drawn = jax.random.categorical(what, jnp.where(no_atom, -jnp.inf, logits))
    return jnp.where((species == 0) & chosen, drawn, species).astype(species.dtype)


def _unknown(crystals: Crystal) -> Crystal:
    return dataclasses.replace(crystals, species=jnp.zeros_like(crystals.species))


def _relative(crystals: Crystal, config: Config) -> Float[ArrayLike, "b 6"]:
    """Lattice coefficients with k6 relative to the volume that the elements suggest."""
    return crystals.lattice - _expected_size(crystals, config)


def _expected_size(crystals: Crystal, config: Config) -> Float[ArrayLike, "b 6"]:
    """The k6 of a cell filled by its atoms' volumes: ln V / √3."""
    xp = jnp if isinstance(crystals.lattice, jax.Array) else np
    volumes = lookup(np.asarray(config.volumes, np.float32), xp.asarray(crystals.species))
    total = (volumes * multiplicity(crystals.wyckoff)).sum(-1)
    return (
        xp.log(xp.maximum(total, 1.0))[..., None]
        / np.sqrt(3, dtype=np.float32)
        * np.eye(6, dtype=np.float32)[5]
    )


def _standard(crystals: Crystal, config: Config) -> Float[ArrayLike, "b 6"]:
    """Coefficients in units of their family's spread, 0 where the group fixes them."""
    mean, scale = _family_statistics(crystals, config)
    values = (_relative(crystals, config) - mean) / scale
    return jnp.where(lattice_mask(crystals.group), values, 0)


def _family_statistics(crystals: Crystal, config: Config) -> tuple[jax.Array, jax.Array]:
    family = lookup(load_tables().group_family, crystals.group)
    mean, scale = (np.asarray(x, np.float32) for x in (config.lattice_mean, config.lattice_scale))
    return lookup(mean, family), lookup(scale, family)


def _crystal(templates: Crystal, state: State, config: Config) -> Crystal:
    """The crystal that a state describes."""
    mean, scale = _family_statistics(templates, config)
    sized = templates
    if config.species == "generated":  # the elements come too late to suggest a volume
        sized = _unknown(templates)
    lattice = state.lattice * scale + mean + _expected_size(sized, config)
    return Crystal(
        group=templates.group,
        wyckoff=templates.wyckoff,
        species=state.species,
        free=state.free,
        lattice=constrain_lattice(lattice, templates.group),
    )


def _atomic_length(crystals: Crystal) -> Float[ArrayLike, "b"]:
    """Cube root of the volume per atom, Å."""
    atoms = jnp.maximum(num_atoms(crystals), 1).astype(crystals.lattice.dtype)
    return jnp.exp(crystals.lattice[..., 5] / np.sqrt(3)) / atoms ** (1 / 3)


def _in_atomic_radii(
    templates: Crystal, state: State, free: Float[ArrayLike, "b s 3"], config: Config
) -> Float[ArrayLike, "b s 3"]:
    """Changes of free coordinates as Cartesian vectors in units of the atomic length."""
    crystal = _crystal(templates, state, config)
    tables = load_tables()
    first = lookup(tables.position_first_row, crystal.wyckoff)
    linear = lookup(tables.row_linear, first).astype(free.dtype)
    frac = (linear * free[..., None, :]).sum(-1)
    lattice = matrix_from_coefficients(crystal.lattice)
    vectors = (frac[..., :, None] * lattice[:, None]).sum(-2)
    return vectors / _atomic_length(crystal)[:, None, None]


def _generates_species(config: Config) -> bool:
    return config.species == "generated"


PRESETS = {
    "tiny": Config(network=OrbitNetConfig(layers=2, channels=32, radial=12, filters=4)),
    "small": Config(network=OrbitNetConfig(layers=4, channels=64)),
    "base": Config(network=OrbitNetConfig(layers=5, channels=128, degree=2), neighbours=24),
}

RECIPE = Recipe(
    config=Config,
    presets=PRESETS,
    validate=validate,
    fit=fit,
    init=init,
    loss=loss,
    sample=sample,
    generates_species=_generates_species,
    cost=orbit_cost,
)
