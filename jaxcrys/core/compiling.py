"""Programs that compile fast, for work that is soon done.

To draw a few dozen crystals takes seconds, to compile the programs for it most of a minute. On CPU
XLA's usual level of optimisation is not worth its time there: with the options below a sampler
compiles in three quarters of the time, and draws at nine tenths of the speed or more, which pays up
to some 40,000 crystals (``benchmarks/generate.py``, with and without ``--compiler usual``).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

QUICK = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_prefer_vector_width": 128,
}
"""Options of XLA's compiler for CPUs. Level 0 would be faster still, and gives wrong results."""


def quick_jit(function: Callable[..., Any], *static: str) -> Any:
    """``jax.jit`` by :func:`quick_options`, for the outermost program.

    Args:
        function: to be compiled.
        static: names of its static arguments.

    Raises:
        ValueError: from JAX, where the result is called within another program.

    Example:
        >>> quick_jit(lambda x, *, n: x**n, "n")(3, n=2).item()
        9
    """
    return jax.jit(function, static_argnames=static, compiler_options=quick_options())


@functools.cache
def quick_options() -> dict[str, Any] | None:
    """Options for ``jax.jit``: none on accelerators, nor where XLA does not know one of them.

    They are no interface of XLA's, so that another version may have dropped one.
    """
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=QUICK).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return QUICK
