"""Two ways to sum a function over the parts of a batch on all devices, with the same results.

A batch is cut into parts of equal size. ``sharded`` takes one part after the other and splits each
over the devices (``jit``, arrays with a ``NamedSharding``); ``pmap`` gives each device some parts
whole. What a part contributes is a function of its number and its examples alone, so that neither
the strategy nor the number of devices matters; on one device, parts need the memory of one.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import ArrayLike, Int
from jaxcrys.parallel.mesh import DATA_AXIS, own_devices, own_mesh, shard_batch

Part = Callable[..., Any]
"""What a part contributes: a pytree of (common, number, examples) and of static settings."""


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A way to sum over the parts of a batch.

    Attributes:
        rows: which rows of a batch of some size, of so many parts, this process reads for its
            devices of a mesh, in the order in which it places them.
        place: lays these rows, from the host's memory, over the devices.
        state_mesh: the devices that hold the state: of this process, or of all.
        compile: makes a program of (common, placed batch): the sum over the parts, which
            ``finish`` turns into the result. The settings that are named last are given by keyword;
            each set of them has a program of its own.
    """

    rows: Callable[[Mesh, int, int], Int[np.ndarray, "r"]]
    place: Callable[[Mesh, Any, int], Any]
    state_mesh: Callable[[Mesh], Mesh]
    compile: Callable[..., Callable[..., Any]]


def cut(batch: Any, parts: int) -> Any:
    """Parts of a batch: leaves ``[b, ...]`` become ``[parts, b / parts, ...]``.

    Part m holds the rows m, m + parts, …: where the rows are split over devices, so is each part.

    Example:
        >>> cut(np.arange(6), 2).tolist()
        [[0, 2, 4], [1, 3, 5]]
    """

    def of_leaf(leaf: ArrayLike) -> ArrayLike:
        return leaf.reshape(len(leaf) // parts, parts, *leaf.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(of_leaf, batch)


def sum_over_parts(function: Callable[..., Any], numbers: Int[jax.Array, "p"], parts: Any) -> Any:
    """Σ function(number, part), one after the other, in the memory of one."""
    if len(numbers) == 1:
        return function(numbers[0], jax.tree.map(lambda leaf: leaf[0], parts))

    def add(total: Any, one: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*one)), None

    first = jax.tree.map(lambda leaf: leaf[0], (numbers, parts))
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *first)
    )
    return jax.lax.scan(add, nothing, (numbers, parts))[0]


def _rows_sharded(mesh: Mesh, size: int, parts: int) -> Int[np.ndarray, "r"]:
    if size % (parts * mesh.size):
        raise InputError(
            "batch size",
            f"{size} is not a multiple of {parts * mesh.size}: microbatches times devices",
        )
    return np.arange(size).reshape(mesh.size, -1)[own_devices(mesh)].ravel()


def _place_sharded(mesh: Mesh, rows: Any, parts: int) -> Any:
    del parts  # a program cuts its batch itself
    return shard_batch(mesh, rows)


def _compile_sharded(
    function: Part, finish: Callable[[Any], Any], mesh: Mesh, parts: int, *settings: str
) -> Callable[..., Any]:
    del mesh  # the arrays know

    def program(common: Any, batch: Any, **chosen: Any) -> Any:
        part = functools.partial(function, common, **chosen)
        return finish(sum_over_parts(part, jnp.arange(parts), cut(batch, parts)))

    return jax.jit(program, static_argnames=settings)


def _rows_pmap(mesh: Mesh, size: int, parts: int) -> Int[np.ndarray, "r"]:
    if parts % mesh.size:
        raise InputError(
            "microbatches",
            f"{parts} is not a multiple of the {mesh.size} devices",
            "pmap gives each device some of them whole",
        )
    if size % parts:
        raise InputError("batch size", f"{size} is not a multiple of the {parts} microbatches")
    return cut(np.arange(size), parts).reshape(mesh.size, -1)[own_devices(mesh)].ravel()


def _place_pmap(mesh: Mesh, rows: Any, parts: int) -> Any:
    each, own = parts // mesh.size, len(own_devices(mesh))

    def of_leaf(leaf: np.ndarray) -> np.ndarray:
        return leaf.reshape(own, each, len(leaf) // (own * each), *leaf.shape[1:])

    return jax.tree.map(of_leaf, rows)


def _compile_pmap(
    function: Part, finish: Callable[[Any], Any], mesh: Mesh, parts: int, *settings: str
) -> Callable[..., Any]:
    numbers = np.arange(parts).reshape(mesh.size, -1)[own_devices(mesh)]

    def program(common: Any, batch: Any, own: jax.Array, values: tuple) -> Any:
        part = functools.partial(function, common, **dict(zip(settings, values, strict=True)))
        return finish(jax.lax.psum(sum_over_parts(part, own, batch), DATA_AXIS))

    compiled = jax.pmap(
        program,
        axis_name=DATA_AXIS,
        in_axes=(None, 0, 0),
        out_axes=None,
        static_broadcasted_argnums=3,
        devices=list(mesh.devices.flat),
    )
    return lambda common, batch, **chosen: compiled(
        common, batch, numbers, tuple(chosen[name] for name in settings)
    )


STRATEGIES = {
    "sharded": Strategy(_rows_sharded, _place_sharded, lambda mesh: mesh, _compile_sharded),
    "pmap": Strategy(_rows_pmap, _place_pmap, own_mesh, _compile_pmap),
}
