"""Data parallelism: parameters on every device, batches split along their leading axis.

The devices may be those of several processes (``parallel.distributed``): each process then lays
down the rows that its own devices hold.
"""

from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Int

T = TypeVar("T")

DATA_AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of all devices (or those given) with one axis, ``data``; those of a process together.

    Example:
        >>> import jax
        >>> data_mesh(jax.devices()[:1]).size
        1
    """
    devices = jax.devices() if devices is None else devices
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(ordered), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def own_devices(mesh: Mesh) -> Int[np.ndarray, "d"]:
    """Places in the mesh of the devices of this process."""
    processes = np.array([device.process_index for device in mesh.devices.flat])
    return np.flatnonzero(processes == jax.process_index())


def own_mesh(mesh: Mesh) -> Mesh:
    """A mesh of the devices of this process alone."""
    return data_mesh(mesh.devices[own_devices(mesh)].tolist())


def shard_batch(mesh: Mesh, rows: T) -> T:
    """Split the leading axis of every leaf over the devices.

    Args:
        mesh: the devices.
        rows: NumPy arrays; in one of several processes, the rows of its own devices.

    Raises:
        InputError: if the batch size is not a multiple of the number of devices.
    """
    own = len(own_devices(mesh))
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(rows)}
    if any(size % own for size in sizes):
        raise InputError("batch size", f"{min(sizes)} is not a multiple of the {own} devices")
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), rows)


def replicate(mesh: Mesh, tree: T) -> T:
    """Put a copy of every leaf on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
