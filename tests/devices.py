"""Crystals on devices, and the comparison of one device with eight."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.parallel import data_mesh, replicate, shard_batch


def on_device(crystals):
    """As arrays of JAX, of single precision."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32 if x.dtype.kind == "f" else jnp.int32), crystals
    )


def single_precision(crystals):
    """Likewise as arrays of NumPy, of which parts can be taken without compiling anything."""
    return jax.tree.map(
        lambda x: np.asarray(x, np.float32 if x.dtype.kind == "f" else np.int32), crystals
    )


def check_one_and_eight_agree(gradients, params, crystals):
    """Of a function that gives a loss, metrics and gradients: the same on every mesh."""
    (one, _), of_one = gradients(params, jax.random.key(2), on_device(crystals))
    mesh = data_mesh(jax.devices())
    batch = shard_batch(mesh, on_device(crystals))
    (eight, _), of_eight = gradients(replicate(mesh, params), jax.random.key(2), batch)
    assert mesh.size == 8
    np.testing.assert_allclose(eight, one, rtol=1e-5)
    for left, right in zip(jax.tree.leaves(of_eight), jax.tree.leaves(of_one), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-5)
