"""Draw crystals from a trained model, batch by batch."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.core.rng import sample_keys
from jaxcrys.core.typing import Float, Int, Key
from jaxcrys.crystal.buckets import (
    assign_shapes,
    choose_shapes,
    fit_sites,
    fitting_shapes,
    shape_sizes,
)
from jaxcrys.crystal.feasibility import remove_clashes
from jaxcrys.crystal.orbit_graph import GraphShape
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.types import Crystal
from jaxcrys.parallel.blocks import in_blocks
from jaxcrys.parallel.rows import compile_rows
from jaxcrys.recipes.base import get_recipe
from jaxcrys.recipes.model import Model
from jaxcrys.recipes.properties import Target
from jaxcrys.sampling.guide import Guide, sample_guided
from jaxcrys.sampling.rank import best_first, scores

LARGER_SHAPES = 4
"""For templates that are larger than what the model was trained on."""

LEAST_ROWS = 8
"""Of a batch of the most expensive shapes; less saves no time."""


class Batch(NamedTuple):
    """Samples that are drawn together.

    Attributes:
        indices: their numbers.
        shape: the cell shape they fit.
        rows: of the compiled program, for each candidate of each sample, or copies.
    """

    indices: Int[np.ndarray, "b"]
    shape: CellShape
    rows: int


@dataclasses.dataclass(frozen=True)
class Draws:
    """How often and how each sample is drawn.

    Attributes:
        seed: of all random numbers.
        candidates: draws for each template, to choose from (``sampling.rank``).
        keep: how many of them are kept, the best first.
        clash_steps: steps by which atoms that are too near each other are moved apart.
        guide: what makes better crystals of those ahead, if anything.
        strategy: how samples are laid over the devices (``parallel.rows``), if nothing guides them.
    """

    seed: int = 0
    candidates: int = 1
    keep: int = 1
    clash_steps: int = 0
    guide: Guide | None = None
    strategy: str = "sharded"

    def described(self) -> dict[str, Any]:
        """What results depend on, for records: not on the strategy."""
        guide = None if self.guide is None else self.guide.described()
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del own["strategy"]
        return own | {"guide": guide}


class Drawn(NamedTuple):
    """What was drawn for a batch, ``keep`` rows for each sample.

    Attributes:
        crystals: as NumPy arrays.
        sample: its number.
        candidate: which of its candidates it is.
        score: by which it was chosen.
    """

    crystals: Crystal
    sample: Int[np.ndarray, "m"]
    candidate: Int[np.ndarray, "m"]
    score: Float[np.ndarray, "m"]


def make_batches(
    model: Model, templates: Crystal, *, batch_size: int, candidates: int = 1
) -> list[Batch]:
    """Cut samples into batches of one cell shape each.

    The shape of a sample, and with it the rows of its batch, follow from its template alone.
    Templates larger than anything the model was trained on get a few shapes of their own.
    """
    shapes = model.config.shapes
    cost = model.config.functions.cost(model.config.settings)
    too_large = ~fitting_shapes(templates, shapes).any(-1)
    if too_large.any():
        shapes = (
            *shapes,
            *choose_shapes(take(templates, too_large), limit=LARGER_SHAPES, cost=cost),
        )
    index = assign_shapes(templates, shapes)
    rows = batch_rows(
        cost(*shape_sizes(shapes).T), cost(*shape_sizes(model.config.shapes).T), most=batch_size
    )
    return [
        Batch(members[start : start + count], shapes[which], rows[which])
        for which in np.unique(index)
        for members in [np.flatnonzero(index == which)]
        for count in [max(1, rows[which] // candidates)]
        for start in range(0, len(members), count)
    ]


def batch_rows(
    cost: Float[np.ndarray, "m"], trained: Float[np.ndarray, "n"], *, most: int
) -> list[int]:
    """Rows of the program of each shape: half as many for twice the cost.

    So a batch of large crystals hardly takes more time or memory than one of small ones, and where
    few of them are wanted, copies that fill up their batch cost little.

    Args:
        cost: of a crystal of each shape.
        trained: of the shapes that the model was trained on; up to their median all have ``most``.
        most: rows.

    Example:
        >>> batch_rows(np.array([1, 2, 5, 16, 999]), np.array([1, 2, 5]), most=128)
        [128, 128, 64, 16, 8]
    """
    typical = np.sort(trained)[(len(trained) - 1) // 2]
    halvings = np.floor(np.log2(np.maximum(cost / typical, 1)))
    return [max(most >> int(times), min(most, LEAST_ROWS)) for times in halvings]


def draw_batch(
    model: Model,
    templates: Crystal,
    batch: Batch,
    draws: Draws,
    *,
    target: Target | None = None,
) -> Drawn:
    """Draw one batch; a sample does not depend on the others in it.

    Args:
        model: the generator.
        templates: of all samples.
        batch: which of them to draw.
        draws: how often and how.
        target: properties that are asked of all samples.
    """
    candidates, slots = draws.candidates, templates.wyckoff.shape[-1]
    request = np.repeat(batch.indices, candidates)
    number = np.tile(np.arange(candidates), len(batch.indices))
    given = fit_sites(take(templates, request), batch.shape.sites)

    def draw(
        rows: Crystal, request: np.ndarray, number: np.ndarray, target: Target | None
    ) -> Crystal:
        keys = _keys(draws.seed, request, number)
        rows = jax.tree.map(jnp.asarray, rows)
        if draws.guide is None:
            sampler = _sampler(model.config.recipe, draws.strategy)
            drawn = sampler(
                model.params, keys, rows, target, config=model.config.settings, shape=batch.shape
            )
        else:
            drawn = sample_guided(
                model, keys, rows, candidates * request + number, draws.guide,
                shape=batch.shape, target=target,
            )  # fmt: skip
        if not draws.clash_steps:
            return drawn
        return _apart(drawn, GraphShape(atoms=batch.shape.atoms), steps=draws.clash_steps)

    drawn = in_blocks(
        draw, given, request, number, take(target, request),
        size=batch.rows, split=draws.strategy == "sharded",
    )  # fmt: skip
    score = np.zeros(len(request))
    if candidates > 1:
        open_sites = (templates.wyckoff > 0) & (templates.species == 0)
        score = scores(
            model, drawn, request,
            candidates=candidates, shape=batch.shape, seed=draws.seed,
            same_elements=not open_sites.any(), batch_size=batch.rows,
        )  # fmt: skip
    rows = best_first(score, candidates=candidates, keep=draws.keep)
    return Drawn(fit_sites(take(drawn, rows), slots), request[rows], number[rows], score[rows])


def _keys(seed: int, request: np.ndarray, number: np.ndarray) -> Key[jax.Array, "b"]:
    """The first candidate has the key of a sample without candidates."""
    keys = sample_keys(seed, request)
    return jnp.where(number == 0, keys, jax.vmap(jax.random.fold_in)(keys, number))


@functools.cache
def _sampler(recipe: str, strategy: str) -> Callable[..., Crystal]:
    """One program from the start to the finished crystals."""
    fill = get_recipe(recipe).sample
    assert fill is not None

    def sample(
        params: Any, keys: jax.Array, rows: Crystal, target: Target | None, **settings: Any
    ) -> Crystal:
        return fill(params, keys, rows, target=target, **settings)

    return compile_rows(sample, "config", "shape", strategy=strategy)


_apart = jax.jit(remove_clashes, static_argnames=("shape", "steps"))
