"""Potentials by name: public weights that are fetched once, and checked."""

from pathlib import Path
from typing import NamedTuple

from jaxcrys.core.errors import InputError
from jaxcrys.potentials.base import Potential
from jaxcrys.potentials.nequix_file import load_nequix

_NEQUIX = "https://github.com/atomicarchitects/nequix/raw/{commit}/models/{name}.nqx"


class Weights(NamedTuple):
    """Where weights are, what they must be, and for what energies they were trained."""

    url: str
    sha256: str
    corrections: str


WEIGHTS = {
    # Trained on MPtrj's raw PBE and PBE+U energies; weights CC-BY-4.0.
    "nequix-mp-1": Weights(
        _NEQUIX.format(commit="7c2854de8e754b1a60274c7d9d2e014989ed632e", name="nequix-mp-1"),
        "1647af8e627e1afa11e2bfadeab0797326513a521afd7dd01606a96f56783eee",
        "MP2020",
    ),
}
"""Potentials that have a name here."""


def load_potential(name: str, *, cache: Path | None = None) -> Potential:
    """A potential by its name, fetched if it is not there yet, or from a file.

    Args:
        name: one of ``WEIGHTS``, or the path of a ``.nqx`` file.
        cache: folder of fetched weights; that of the user's caches by default.

    Raises:
        InputError: for an unknown name, or weights that cannot be fetched or are damaged.
    """
    if name not in WEIGHTS:
        if not Path(name).exists():
            known = ", ".join(WEIGHTS)
            raise InputError("--potential", f"{name} is no file and no name of {known}")
        return load_nequix(name)
    import pooch

    weights = WEIGHTS[name]
    folder = cache or Path(pooch.os_cache("jaxcrys"))
    try:
        path = pooch.retrieve(
            weights.url, known_hash=f"sha256:{weights.sha256}", fname=f"{name}.nqx", path=folder
        )
    except (OSError, ValueError) as error:
        raise InputError(
            "--potential", f"{name} cannot be fetched ({error})",
            f"download {weights.url} and give its path",
        ) from error  # fmt: skip
    return load_nequix(path)


def corrections_for(potential: Potential) -> str:
    """What must be added to a potential's energies: known by the hash of its weights, else none."""
    schemes = {weights.sha256: weights.corrections for weights in WEIGHTS.values()}
    return schemes.get(potential.digest, "none")
