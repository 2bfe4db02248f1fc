"""What every recipe provides, and the list of recipes."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np

from jaxcrys.core import plugins
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Bool, Float, Int, Key
from jaxcrys.crystal.buckets import Cost
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.recipes.properties import Property, Target

Params = Any
"""A pytree of network parameters."""

Metrics = dict[str, tuple[Float[jax.Array, ""], Float[jax.Array, ""]]]
"""Sums and counts by name, so that means over batches and devices are exact."""


class Validate(Protocol):
    """Check of the settings."""

    def __call__(self, config: Any) -> None:
        """Raise ``InputError`` naming the setting that cannot be used."""
        ...


class Fit(Protocol):
    """Settings that follow from the data: scales, marginals."""

    def __call__(self, config: Any, crystals: Crystal) -> Any:
        """Return ``config`` with its data-dependent settings taken from NumPy ``crystals``."""
        ...


class Condition(Protocol):
    """Settings with which properties of crystals are learned."""

    def __call__(self, config: Any, names: Sequence[str], values: Float[np.ndarray, "b p"]) -> Any:
        """Return ``config`` with what the values, NaN where not known, say of the properties."""
        ...


class Init(Protocol):
    """Fresh parameters."""

    def __call__(self, key: Key[jax.Array, ""], config: Any) -> Params:
        """Draw the network's parameters."""
        ...


class Loss(Protocol):
    """The training loss of a batch."""

    def __call__(
        self,
        params: Params,
        key: Key[jax.Array, ""],
        crystals: Crystal,
        *,
        config: Any,
        shape: CellShape,
        properties: Float[ArrayLike, "b p"] | None = None,
        training: bool = False,
    ) -> tuple[Float[jax.Array, ""], Metrics]:
        """Return the loss and its parts. Pure; ``config`` and ``shape`` are static in jit.

        ``properties`` are known values for recipes with ``condition``, NaN where not known. With
        ``training`` the recipe's regularisation is on: dropout, augmentation.
        """
        ...


class Misfit(Protocol):
    """How little a crystal looks like one of the training set."""

    def __call__(
        self,
        params: Params,
        keys: Key[jax.Array, "b"],
        crystals: Crystal,
        *,
        config: Any,
        shape: CellShape,
    ) -> Float[jax.Array, "b"]:
        """Return the denoising error of each crystal, by which candidates are ranked."""
        ...


class Sample(Protocol):
    """Crystals from templates."""

    def __call__(
        self,
        params: Params,
        keys: Key[jax.Array, "b"],
        templates: Crystal,
        *,
        config: Any,
        shape: CellShape,
        target: Target | None = None,
    ) -> Crystal:
        """Draw what is not given. Sample i depends on ``keys[i]`` and ``templates[i]`` alone.

        ``target`` are properties that are asked for, in the order of ``either`` of those of
        templates and geometry.
        """
        ...


@pytree
class Estimate:
    """Numbers of crystals, one column for each property.

    Attributes:
        mean: the values.
        spread: their standard deviations.
    """

    mean: Float[ArrayLike, "b p"]
    spread: Float[ArrayLike, "b p"]


class Estimates(Protocol):
    """Numbers of given crystals."""

    def __call__(
        self, params: Params, crystals: Crystal, *, config: Any, shape: CellShape
    ) -> Estimate:
        """Return the properties that the recipe was conditioned on, in the units of the data."""
        ...


class Journey(NamedTuple):
    """``sample`` step by step, for those who would correct where it is heading.

    Crystals are drawn by ``begin``, for each index of ``steps`` first ``aim`` and then ``advance``,
    and ``arrive``. Pure functions, for jit; arguments as those of ``Sample``.

    Attributes:
        steps: (config) -> how many.
        begin: (keys, templates, config=) -> the state of the crystals at the start.
        aim: (params, templates, state, index, config=, shape=, target=) -> what the network says,
            and the crystals that the state is heading for.
        advance: (keys, templates, state, index, said, goal, config=) -> the next state; without a
            ``goal`` as the network says, else on the way to these crystals.
        arrive: (templates, state, config=) -> the crystals.
    """

    steps: Callable[[Any], int]
    begin: Callable[..., Any]
    aim: Callable[..., tuple[Any, Crystal]]
    advance: Callable[..., Any]
    arrive: Callable[..., Crystal]


class Complete(Protocol):
    """Templates from nothing, or from a part of them."""

    def __call__(
        self,
        params: Params,
        keys: Key[jax.Array, "b"],
        templates: Crystal,
        limits: Limits,
        *,
        config: Any,
        sites: int,
        target: Target | None = None,
    ) -> Crystal:
        """Draw groups, positions and elements where they are 0; what is given stays.

        ``sites`` is static, the number of slots; ``target`` are properties that are asked for. A
        recipe without ``sample`` that makes crystals draws coordinates and lattice as well.
        """
        ...


class Sizes(Protocol):
    """How many sites a recipe draws, which some know before anything else is drawn."""

    def __call__(
        self, keys: Key[jax.Array, "b"], templates: Crystal, limits: Limits, *, config: Any
    ) -> Int[jax.Array, "b"]:
        """Number of sites of each sample that ``Complete`` draws with the same arguments."""
        ...


@dataclasses.dataclass(frozen=True)
class Composition:
    """A formula, and what a template of it may be.

    Attributes:
        counts: atoms of a formula unit by atomic number.
        units: numbers of formula units in the primitive cell to choose from.
        groups: space groups to choose from; all if empty.
        sites: given sites, pairs of local index and atomic number; needs a single group.
    """

    counts: Mapping[int, int]
    units: tuple[int, ...]
    groups: tuple[int, ...] = ()
    sites: tuple[tuple[int, int], ...] = ()


class Compose(Protocol):
    """Templates of exactly some compositions."""

    def __call__(
        self,
        params: Params,
        keys: Key[jax.Array, "b"],
        compositions: Sequence[Composition],
        owner: Int[np.ndarray, "b"],
        *,
        config: Any,
        sites: int,
        group_weights: Float[np.ndarray, "231"] | None = None,
        target: Target | None = None,
    ) -> Crystal:
        """Draw templates, row i for ``compositions[owner[i]]``; host side, NumPy arrays."""
        ...


class LogProb(NamedTuple):
    """What is known of the probability of templates.

    Attributes:
        log_prob: its logarithm, or the estimate.
        exact: whether nothing was estimated.
    """

    log_prob: Float[np.ndarray, "b"]
    exact: Bool[np.ndarray, "b"]


class Likelihood(Protocol):
    """Log-probabilities of templates."""

    def __call__(
        self,
        params: Params,
        templates: Crystal,
        *,
        config: Any,
        formula_known: bool = False,
        equivalents: bool = False,
        most_sets: int = ...,
    ) -> LogProb:
        """Sum over the orders of the sites, of one description or of all ``equivalents``."""
        ...


class Recipe(NamedTuple):
    """A generator as plain data, or what estimates numbers: its settings and its pure functions.

    Attributes:
        makes: whole crystals, templates alone, or numbers of given crystals.
        config: the class of its settings.
        presets: named settings, from small to the published size.
        validate: check of the settings.
        fit: data-dependent settings.
        init: parameters.
        loss: training loss.
        cost: from the settings, what a crystal of some shape costs, by which shapes are chosen.
        condition: settings with which properties are learned; None where they cannot be.
        template_properties: from the settings, the properties that ``complete`` and ``compose``
            can be asked for.
        geometry_properties: those that ``sample`` can be asked for.
        sample: geometry in given templates; None where they are not needed.
        journey: the same step by step; None where there is no end to head for.
        complete: templates from nothing; None where they must be given.
        sizes: numbers of sites that ``complete`` draws, where they are known beforehand.
        compose: templates of exactly one formula; host side.
        likelihood: log-probabilities of templates; host side.
        estimate: numbers of given crystals.
        misfit: denoising error of finished crystals, if candidates can be ranked by it.
        obeys: what can be fixed: ``groups``, ``allowed``, ``required`` and ``amounts`` of the
            limits, given ``sites``, the ``formula``, the ``lattice``, ``properties``.
        generates_species: from the settings, whether ``sample`` draws elements.
    """

    makes: Literal["crystals", "templates", "numbers"]
    config: type
    presets: Mapping[str, Any]
    validate: Validate
    fit: Fit
    init: Init
    loss: Loss
    cost: Callable[[Any], Cost]
    condition: Condition | None = None
    template_properties: Callable[[Any], tuple[Property, ...]] = lambda config: ()
    geometry_properties: Callable[[Any], tuple[Property, ...]] = lambda config: ()
    sample: Sample | None = None
    journey: Journey | None = None
    complete: Complete | None = None
    sizes: Sizes | None = None
    compose: Compose | None = None
    likelihood: Likelihood | None = None
    estimate: Estimates | None = None
    misfit: Misfit | None = None
    obeys: frozenset[str] = frozenset()
    generates_species: Callable[[Any], bool] = lambda config: False


_MODULES = {
    "diffcsp_pp": "jaxcrys.recipes.diffcsp_pp",
    "orbit": "jaxcrys.recipes.orbit",
    "orbit_flow": "jaxcrys.recipes.orbit_flow",
    "regressor": "jaxcrys.recipes.regressor",
    "symmcd": "jaxcrys.recipes.symmcd",
    "wyckoffdiff": "jaxcrys.recipes.wyckoffdiff",
    "wyformer": "jaxcrys.recipes.wyformer",
}


_REGISTERED: dict[str, Recipe] = {}
"""Added in this process by :func:`register_recipe`."""


def recipe_names(*, completes: bool | None = None, samples: bool | None = None) -> tuple[str, ...]:
    """Names of recipes, without those of other packages: all, or those that have a sampler or not.

    Example:
        >>> recipe_names()
        ('diffcsp_pp', 'orbit', 'orbit_flow', 'regressor', 'symmcd', 'wyckoffdiff', 'wyformer')
        >>> recipe_names(completes=True)
        ('orbit', 'symmcd', 'wyckoffdiff', 'wyformer')
    """

    def wanted(recipe: Recipe) -> bool:
        return completes in (None, recipe.complete is not None) and samples in (
            None,
            recipe.sample is not None,
        )

    return tuple(name for name in (*_MODULES, *_REGISTERED) if wanted(get_recipe(name)))


def register_recipe(name: str, recipe: Recipe) -> None:
    """Make a recipe of your own known by a name, in this process; packages have entry points.

    Training, sampling and the runs on disk speak of recipes by name: register it before such a run
    is made or loaded.

    Raises:
        InputError: if the name is taken. Programs are compiled for a name once, so it never changes
            its meaning.

    Example:
        >>> register_recipe("orbit", get_recipe("orbit"))
        Traceback (most recent call last):
        ...
        jaxcrys.core.errors.InputError: recipe: there is an 'orbit' already; choose another name
    """
    if name in (*_MODULES, *_REGISTERED):
        raise InputError("recipe", f"there is an {name!r} already", "choose another name")
    _REGISTERED[name] = recipe


def known_recipes() -> tuple[str, ...]:
    """Names that :func:`get_recipe` knows: of jaxcrys, of this process, of other packages.

    Example:
        >>> known_recipes()[:2]
        ('diffcsp_pp', 'orbit')
    """
    own = (*_MODULES, *_REGISTERED)
    return (*own, *(name for name in plugins.plugin_names(plugins.RECIPES) if name not in own))


def get_recipe(name: str) -> Recipe:
    """Load a recipe by name, of jaxcrys or of another installed package (``core.plugins``).

    Raises:
        InputError: if there is none of that name, or another package's cannot be loaded.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _MODULES:
        return importlib.import_module(_MODULES[name]).RECIPE
    if plugins.has_plugin(plugins.RECIPES, name):
        return plugins.load_plugin(plugins.RECIPES, name, Recipe)
    known = f"known: {', '.join(known_recipes())}; register_recipe adds others"
    raise InputError("recipe", f"there is no {name!r}", known)
