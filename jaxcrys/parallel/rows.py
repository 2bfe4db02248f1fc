"""Two ways to apply a function to the rows of a batch on all devices, with the same results.

``sharded`` compiles one program for the whole batch, whose rows lie split over the devices
(:func:`jaxcrys.parallel.blocks.in_blocks` lays them so); ``pmap`` gives each device as many rows,
and the same program for them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxcrys.core.compiling import quick_jit
from jaxcrys.core.errors import InputError
from jaxcrys.parallel.blocks import devices_for


def compile_rows(
    function: Callable[..., Any], *settings: str, strategy: str = "sharded"
) -> Callable[..., Any]:
    """Compile a function in which no row depends on another; not to be called within a program.

    Args:
        function: of ``(common, *rows)``, where ``rows`` are pytrees with the same number of rows.
        settings: names of its static arguments, which are given by keyword.
        strategy: one of :data:`ROW_STRATEGIES`.

    Raises:
        InputError: if there is no such strategy.

    Example:
        >>> import numpy as np
        >>> power = compile_rows(lambda by, x, *, n: by * x**n, "n", strategy="pmap")
        >>> power(10, np.arange(3), n=2).tolist()
        [0, 10, 40]
    """
    if strategy not in ROW_STRATEGIES:
        names = ", ".join(ROW_STRATEGIES)
        raise InputError("strategy", f"must be one of {names}, got {strategy!r}")
    return ROW_STRATEGIES[strategy](function, settings)


def _sharded(function: Callable[..., Any], settings: tuple[str, ...]) -> Callable[..., Any]:
    return quick_jit(function, *settings)


def _pmap(function: Callable[..., Any], settings: tuple[str, ...]) -> Callable[..., Any]:
    def program(common: Any, rows: tuple, values: tuple) -> Any:
        return function(common, *rows, **dict(zip(settings, values, strict=True)))

    @functools.cache
    def on(devices: tuple[jax.Device, ...]) -> Callable[..., Any]:
        return jax.pmap(
            program, in_axes=(None, 0), static_broadcasted_argnums=2, devices=list(devices)
        )

    def call(common: Any, *rows: Any, **chosen: Any) -> Any:
        devices = devices_for(len(jax.tree.leaves(rows)[0]))
        split = jax.tree.map(lambda leaf: leaf.reshape(len(devices), -1, *leaf.shape[1:]), rows)
        found = on(devices)(common, split, tuple(chosen[name] for name in settings))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), found)

    return call


ROW_STRATEGIES = {"sharded": _sharded, "pmap": _pmap}
