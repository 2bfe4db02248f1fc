"""Refuse library versions that are known to compute wrong values or to break on import."""

import os
import platform
from collections.abc import Callable
from importlib import metadata

OVERRIDE = "JAXCRYS_ALLOW_BAD_VERSIONS"
"""Environment variable that turns the check off (for bisecting a library, never for results)."""

BAD_JAX = {
    "0.10.2": "computes wrong values on CPU without an error (jit of vmap of a small matvec)",
    "0.11.0": "crashes on CPU in reductions of high rank",
    "0.11.1": "does not import together with flax",
}


def _triple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def check_versions(version_of: Callable[[str], str] = metadata.version) -> None:
    """Raise ``ImportError`` if the installed jax, or its pair with flax, is known to be bad.

    Only package metadata is read, so that nothing is imported and no device is touched.

    Args:
        version_of: maps a distribution's name to its version; replaced in tests.

    Raises:
        ImportError: with the reason and the command that mends it.

    Example:
        >>> check_versions({"jax": "0.10.1", "flax": "0.12.8"}.__getitem__)
    """
    if os.environ.get(OVERRIDE) == "1":
        return
    jax, flax = version_of("jax"), version_of("flax")
    if jax in BAD_JAX:
        raise ImportError(
            f"jaxcrys does not run on jax {jax}: it {BAD_JAX[jax]}. "
            "Install jax==0.10.1 with flax==0.12.8 on Python 3.11, "
            "or 'jax>=0.11.2' with 'flax>=0.12.12' on Python 3.12 and later."
        )
    if (_triple(jax) >= (0, 11)) != (_triple(flax) >= (0, 12, 9)):
        raise ImportError(
            f"jax {jax} and flax {flax} do not work together. "
            "Pair jax 0.10.x with flax==0.12.8, and jax 0.11.2 or later with flax>=0.12.12."
        )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that results depend on.

    Example:
        >>> sorted(library_versions())
        ['flax', 'jax', 'jaxcrys', 'jaxlib', 'numpy', 'python']
    """
    names = ("jaxcrys", "jax", "jaxlib", "flax", "numpy")
    return {name: metadata.version(name) for name in names} | {"python": platform.python_version()}
