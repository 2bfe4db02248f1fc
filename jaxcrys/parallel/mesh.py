"""Data parallelism: parameters on every device, batches split along their leading axis."""

from collections.abc import Sequence
from typing import TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxcrys.core.errors import InputError

T = TypeVar("T")

DATA_AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of all devices (or those given) with one axis, ``data``.

    Example:
        >>> import jax
        >>> data_mesh(jax.devices()[:1]).size
        1
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def shard_batch(mesh: Mesh, batch: T) -> T:
    """Split the leading axis of every leaf over the devices.

    Raises:
        InputError: if the batch size is not a multiple of the number of devices.
    """
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(batch)}
    if any(size % mesh.size for size in sizes):
        raise InputError("batch size", f"{min(sizes)} is not a multiple of the {mesh.size} devices")
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec(DATA_AXIS)))


def replicate(mesh: Mesh, tree: T) -> T:
    """Put a copy of every leaf on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
