"""Several processes, one for each host, that work as one (``jax.distributed``).

Each runs the same program on its own devices; arrays and collectives span all of them. The first
process alone writes what is shared; the others wait where they need it.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

from jaxcrys.core.errors import InputError

T = TypeVar("T")


def start_distributed(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> int:
    """Join the other processes, if there are any; to be called before anything is computed.

    With an address the process joins those that were given the same one. Without, it looks for
    what schedulers set: ``JAX_COORDINATOR_ADDRESS`` with ``JAX_NUM_PROCESSES`` and
    ``JAX_PROCESS_ID``, a Slurm job of several tasks, or the hosts of a TPU slice.

    Args:
        coordinator: HOST:PORT of the first process, or ``auto`` to leave the search to JAX, which
            then must find something (it asks the metadata server of a TPU machine, say).
        processes: how many there are.
        process: which of them this is, from 0.

    Returns:
        How many processes there are: 1 if this one is alone.

    Raises:
        InputError: if the address comes without the numbers, or nobody can be joined.
    """
    if jax.distributed.is_initialized():
        return jax.process_count()
    if coordinator not in (None, "auto") and (processes is None or process is None):
        raise InputError(
            "--coordinator", f"{coordinator} says nothing of how many processes there are",
            "give --processes and --process as well",
        )  # fmt: skip
    if coordinator is None and not scheduled(os.environ):
        return 1
    address = None if coordinator == "auto" else coordinator
    try:
        jax.distributed.initialize(address, processes, process)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "--coordinator", f"the other processes cannot be joined ({error})",
            "give --coordinator HOST:PORT --processes N --process I to each",
        ) from error  # fmt: skip
    return jax.process_count()


def scheduled(environment: "os._Environ[str] | dict[str, str]") -> bool:
    """Whether the environment is that of one of several processes.

    Example:
        >>> scheduled({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"})
        True
        >>> scheduled({"TPU_WORKER_HOSTNAMES": "localhost"})
        False
    """
    slurm = "SLURM_PROCID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1
    tpu = "," in environment.get("TPU_WORKER_HOSTNAMES", "")
    return "JAX_COORDINATOR_ADDRESS" in environment or slurm or tpu


def is_first() -> bool:
    """Whether this is the process that writes what all share."""
    return jax.process_index() == 0


def wait_for_all(where: str) -> None:
    """Go on when every process has come to this place."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(where)


def first_then_others(work: Callable[[], T]) -> T:
    """Do the work in the first process, then in the others, which find what it has written."""
    if is_first():
        result = work()
        wait_for_all("first")
        return result
    wait_for_all("first")
    return work()


def agree(number: int) -> int:
    """The number that the first process has, in every process."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))
