"""Relaxations step by step: as arrays to keep, and as extended XYZ to look at."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxcrys.crystal.build import stack_crystals
from jaxcrys.crystal.convert import to_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.crystal_set import crystal_id
from jaxcrys.relaxation.relax import Relaxed

FOLDER = "trajectories"


def path_arrays(relaxed: Relaxed) -> dict[str, np.ndarray]:
    """The path of a crystal as arrays by name; none if it has none."""
    if not relaxed.path:
        return {}
    path = stack_crystals(relaxed.path)
    return {
        "path_free": np.asarray(path.free),
        "path_lattice": np.asarray(path.lattice),
        "path_energy": np.array(relaxed.energies),
    }


def path_of(
    crystal: Crystal, arrays: Mapping[str, np.ndarray]
) -> tuple[tuple[Crystal, ...], tuple[float, ...]]:
    """The path and its energies again, from the arrays and any crystal on it."""
    if "path_energy" not in arrays:
        return (), ()
    places = zip(arrays["path_free"], arrays["path_lattice"], strict=True)
    path = (dataclasses.replace(crystal, free=free, lattice=k) for free, k in places)
    return tuple(path), tuple(arrays["path_energy"].tolist())


def write_trajectories(folder: Path, relaxed: Sequence[Relaxed]) -> None:
    """Write conventional cells along each path, with their energies, into a file for each."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    (folder / FOLDER).mkdir()
    for index, one in enumerate(relaxed):
        frames = []
        for crystal, energy in zip(one.path, one.energies, strict=True):
            if not np.isfinite(crystal.lattice).all():
                continue
            atoms = to_atoms(crystal)
            atoms.calc = SinglePointCalculator(atoms, energy=energy * len(atoms))
            frames.append(atoms)
        if frames:
            write(folder / FOLDER / f"{crystal_id(index)}.extxyz", frames, format="extxyz")
