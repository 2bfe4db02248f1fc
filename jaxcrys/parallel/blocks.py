"""Many rows through a program that is compiled for a fixed number of them, on all devices."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.parallel.mesh import data_mesh, shard_batch


def in_blocks(function: Callable[..., Any], *trees: Any, size: int, split: bool = True) -> Any:
    """Call a function of batches on ``size`` rows at a time, and join what it returns.

    The last block is filled up with copies of the last row, so that one compiled program serves
    all blocks; what comes out of the copies is dropped. The rows of a block are split over the
    devices; as long as no row depends on another, the results are those of one device.

    Args:
        function: from batches of ``size`` rows to a pytree with as many.
        trees: pytrees of NumPy arrays with the same number of rows.
        size: rows of a block.
        split: lay the rows over the devices; what splits them itself is given them as they are.

    Returns:
        NumPy arrays.

    Example:
        >>> in_blocks(lambda x: 2 * x, np.arange(5), size=2)
        array([0, 2, 4, 6, 8])
    """
    count = len(jax.tree.leaves(trees)[0])
    devices = devices_for(size)
    results = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        block = take(trees, rows)
        if split and len(devices) > 1:
            block = shard_batch(data_mesh(devices), block)
        results.append(jax.device_get(function(*block)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *results)


def devices_for(rows: int) -> tuple[jax.Device, ...]:
    """As many of the working devices as can share so many rows equally."""
    devices = working_devices()
    return tuple(devices[: math.gcd(rows, len(devices))])


def working_devices() -> Sequence[jax.Device]:
    """All accelerators of this process; of CPU devices, which share their cores, only one."""
    devices = jax.local_devices()
    return devices[:1] if devices[0].platform == "cpu" else devices


def block_size(count: int, *, most: int, least: int = 32) -> int:
    """Rows of a block for ``count`` rows: one of a few sizes, so that few programs are compiled.

    Each size is an eighth of the next: some small blocks, rather than a large one full of copies.

    Example:
        >>> [block_size(count, most=512) for count in (3, 50, 100, 511, 9000)]
        [32, 32, 64, 64, 512]
    """
    size = most
    while size > max(count, least):
        size //= 8
    return max(size, min(least, most))
