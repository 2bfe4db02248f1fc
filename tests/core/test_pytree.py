"""The pytree decorator under JAX's transformations."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.pytree import pytree, static, take


@pytree
class Point:
    position: jax.Array
    weight: jax.Array
    power: int = static(default=2)

    def value(self):
        return self.weight * (self.position**self.power).sum()


POINT = Point(jnp.array([1.0, 2.0]), jnp.array(3.0))


def test_leaves_are_the_fields_that_are_not_static():
    leaves, structure = jax.tree.flatten(POINT)
    assert [leaf.shape for leaf in leaves] == [(2,), ()]
    assert jax.tree.unflatten(structure, leaves).power == 2
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(POINT)]
    assert paths == [".position", ".weight"]


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        POINT.weight = 1.0  # ty: ignore[invalid-assignment]


def test_static_field_is_a_constant_and_decides_about_recompilation():
    traces = []

    @jax.jit
    def value(point):
        traces.append(point.power)
        assert isinstance(point.power, int)
        return point.value()

    assert value(POINT) == 15
    assert value(dataclasses.replace(POINT, weight=jnp.array(1.0))) == 5
    assert value(dataclasses.replace(POINT, power=3)) == 27
    assert traces == [2, 3]


def test_vmap_and_grad_rebuild_it_with_tracers_and_placeholders():
    batch = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), POINT)
    np.testing.assert_array_equal(jax.vmap(Point.value)(batch), [15, 120])
    slope = jax.grad(Point.value)(POINT)
    assert isinstance(slope, Point)
    np.testing.assert_array_equal(slope.position, [6, 12])
    placeholders: dict[str, Any] = {"position": 0, "weight": None}  # nothing checks or converts
    axes = Point(**placeholders)
    np.testing.assert_array_equal(
        jax.vmap(Point.value, in_axes=(axes,))(dataclasses.replace(batch, weight=jnp.array(1.0))),
        [5, 20],
    )


def test_structures_with_other_static_fields_do_not_mix():
    with pytest.raises(ValueError, match="Mismatch custom dataclass node data"):
        jax.tree.map(jnp.add, POINT, dataclasses.replace(POINT, power=3))


def test_take_indexes_every_leaf():
    batch = jax.tree.map(lambda a: np.stack([a, 2 * a, 3 * a]), POINT)
    assert take(batch, 1).weight == 6
    np.testing.assert_array_equal(take(batch, slice(1, None)).weight, [6, 9])
    np.testing.assert_array_equal(take(batch, np.array([2, 0])).position, [[3, 6], [1, 2]])
