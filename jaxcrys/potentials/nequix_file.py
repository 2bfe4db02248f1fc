"""Nequix's public weights: one line of JSON, then the arrays of the network one after the other.

The arrays are stored as NumPy stores them, in the order of the network's parts; nothing is
unpickled.
"""

import functools
import itertools
import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxcrys.core.array_file import read_array
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sha256
from jaxcrys.potentials.base import Potential
from jaxcrys.potentials.nequix import NequixConfig, SiteEnergies, layer_channels, paths

LONGEST_HEADER = 2**20
"""Bytes of the line of JSON; those of public weights have 2,000."""

MOST = {"lmax": 8, "n_layers": 100, "radial_mlp_layers": 100}
"""Larger networks than any; to find out that their arrays are not there would take forever."""

SUPPORTED = {"index_weights": False, "layer_norm": True}
"""Variants of the architecture that there are weights for."""


def load_nequix(path: Path | str) -> Potential:
    """Read a ``.nqx`` file.

    Raises:
        InputError: if the file is missing, damaged, or of another architecture.
    """
    path = Path(path)
    try:
        with path.open("rb") as handle:
            settings = json.loads(handle.readline(LONGEST_HEADER))
            config = _config(path, settings)
            read = functools.partial(_read, handle)
            params = _params(config, settings, read)
            rest = handle.read().strip()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            str(path), f"is not a file of Nequix's weights ({error})", "download it again"
        ) from error
    if rest:
        raise InputError(str(path), "holds more arrays than the network that it describes has")
    return Potential(
        params=params,
        site_energies=SiteEnergies(config),
        cutoff=config.cutoff,
        name=path.stem,
        digest=sha256(path),
        elements=config.elements,
    )


def _config(path: Path, settings: dict[str, Any]) -> NequixConfig:
    for name, value in SUPPORTED.items():
        if settings[name] != value:
            raise InputError(str(path), f"has {name} = {settings[name]}, which is not supported")
    for name, most in MOST.items():
        if not 0 < settings[name] <= most:
            raise InputError(
                str(path), f"has {name} = {settings[name]}, at most {most} is possible"
            )
    channels, degrees = zip(
        *(part.strip().rstrip("eo").split("x") for part in settings["hidden_irreps"].split("+")),
        strict=True,
    )
    if [int(degree) for degree in degrees] != list(range(len(degrees))):
        raise InputError(str(path), f"has features {settings['hidden_irreps']}, not one per degree")
    return NequixConfig(
        elements=tuple(settings["atomic_numbers"]),
        channels=tuple(map(int, channels)),
        degree=settings["lmax"],
        layers=settings["n_layers"],
        cutoff=settings["cutoff"],
        radial=settings["radial_basis_size"],
        envelope_order=int(settings["radial_polynomial_p"]),
        neighbours=settings["avg_n_neighbors"],
        scale=settings["scale"],
        shift=settings["shift"],
    )


def _params(config: NequixConfig, settings: dict[str, Any], read: Any) -> dict[str, Any]:
    """All arrays, in the order of the file."""
    atom_energies = read(len(config.elements))
    channels, layers = layer_channels(config), []
    hidden = [settings["radial_mlp_size"]] * settings["radial_mlp_layers"]
    for inputs, outputs in itertools.pairwise(channels):
        wiring = paths(len(inputs), len(outputs), config.degree)
        # Scalars come with the gates of the higher degrees.
        gated = dict(enumerate((outputs[0] + sum(outputs[1:]), *outputs[1:])))
        widths = [inputs[first] for first, _, _ in wiring]
        sizes = [config.radial, *hidden]
        layers.append({
            "radial": [read(*pair) for pair in itertools.pairwise(sizes)],
            "mix": _by_input(read(sizes[-1], sum(widths)), wiring, widths),
            "first": {degree: read(width, width) for degree, width in enumerate(inputs)},
            "second": {
                out: read(sum(inputs[way[0]] for way in wiring if way[2] == out), width)
                for out, width in gated.items()
            },
            "skip": {
                degree: read(width, gated[degree])
                for degree, width in enumerate(inputs) if degree in gated
            },
            "norm": {degree: read(width) for degree, width in gated.items()},
        })  # fmt: skip
    return {"atom_energies": atom_energies, "layers": layers, "readout": read(channels[-1][0], 1)}


def _by_input(
    matrix: np.ndarray, wiring: list[tuple[int, int, int]], widths: list[int]
) -> dict[int, np.ndarray]:
    """The columns of the paths, those of one input degree beside each other."""
    blocks = np.split(matrix, np.cumsum(widths)[:-1], axis=1)
    return {
        degree: np.concatenate(
            [block for block, way in zip(blocks, wiring, strict=True) if way[0] == degree], 1
        )
        for degree in sorted({way[0] for way in wiring})
    }


def _read(handle: BinaryIO, *shape: int) -> np.ndarray:
    return read_array(handle, shape=shape).astype(np.float32)
