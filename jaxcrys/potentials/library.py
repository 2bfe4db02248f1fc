"""Potentials by name: public weights that are fetched once, and checked; calculators of ASE."""

import importlib
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from jaxcrys.core import plugins
from jaxcrys.core.download import DownloadError, download
from jaxcrys.core.errors import InputError
from jaxcrys.potentials.ase_bridge import from_ase
from jaxcrys.potentials.host import AnyPotential
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


ASE = "ase:"
"""Before the module and the class of a calculator, as in ase:tblite.ase:TBLite."""


def load_potential(name: str, *, cache: Path | None = None) -> AnyPotential:
    """A potential by its name, fetched if it is not there yet, or from a file.

    Args:
        name: one of ``WEIGHTS``, the path of a ``.nqx`` file, ``ase:MODULE:CLASS`` for a
            calculator of ASE, which is made without arguments and called on the host, or a
            potential of another installed package (``core.plugins``).
        cache: folder of fetched weights; that of the user's caches by default.

    Raises:
        InputError: for an unknown name, weights that cannot be fetched or are damaged, or a
            calculator that cannot be made or gives no stress.
    """
    if name.startswith(ASE):
        return _calculator(name)
    if name not in WEIGHTS:
        if Path(name).exists():
            return load_nequix(name)
        if plugins.has_plugin(plugins.POTENTIALS, name):
            return _of_other_package(name)
        known = ", ".join(dict.fromkeys((*WEIGHTS, *plugins.plugin_names(plugins.POTENTIALS))))
        raise InputError(
            "--potential",
            f"{name} is no file and no name of {known}; calculators are ase:MODULE:CLASS",
        )
    weights = WEIGHTS[name]
    path = (cache or user_cache_path("jaxcrys")) / f"{name}.nqx"
    try:
        download(weights.url, path, checksum=f"sha256:{weights.sha256}")
    except (DownloadError, OSError) as error:
        raise InputError(
            "--potential", f"{name} cannot be fetched ({error})",
            f"download {weights.url} and give its path",
        ) from error  # fmt: skip
    return load_nequix(path)


def _of_other_package(name: str) -> AnyPotential:
    make = plugins.load_plugin(plugins.POTENTIALS, name)
    owner = plugins.owners_of(plugins.POTENTIALS, name)
    try:
        found = make()
    except Exception as error:  # whatever a package raises
        raise InputError(
            "--potential", f"{name} of {owner} cannot be made ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(found, AnyPotential):
        kind = type(found).__name__
        raise InputError("--potential", f"{name} of {owner} is no potential but a {kind}")
    return found


def _calculator(name: str) -> AnyPotential:
    module, _, kind = name.removeprefix(ASE).partition(":")
    try:
        calculator = getattr(importlib.import_module(module), kind)()
        able = {"energy", "forces", "stress"} <= set(calculator.implemented_properties)
    except Exception as error:  # whatever a package raises while it is loaded
        raise InputError(
            "--potential", f"{name} cannot be made ({type(error).__name__}: {error})",
            "give ase:MODULE:CLASS of a calculator that needs no arguments",
        ) from error  # fmt: skip
    if not able:
        raise InputError("--potential", f"{name} gives no energy, forces and stress")
    package = module.partition(".")[0]
    sources = packages_distributions().get(package, [])
    return from_ase(calculator, name=name, digest=" ".join(f"{x} {version(x)}" for x in sources))


def corrections_for(potential: AnyPotential) -> str:
    """What must be added to a potential's energies: known by the hash of its weights, else none."""
    schemes = {weights.sha256: weights.corrections for weights in WEIGHTS.values()}
    return schemes.get(potential.digest, "none")
