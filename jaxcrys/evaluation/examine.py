"""What is said of one sample alone: a row of the table (runs in worker processes).

Everything that can be wrong with a sample becomes a ``reason`` in its row. A sample without a cell
has no further columns; one that hangs or kills its worker is a row too (:func:`lost`).
"""

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.elements import SYMBOLS, reduced_formula
from jaxcrys.core.errors import InputError
from jaxcrys.crystal.convert import from_arrays, structure_from_raw
from jaxcrys.crystal.describe import density, total_dof, wyckoff_string
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.crystal.protostructure import protostructure_label, prototype_label
from jaxcrys.crystal.raw import RawCell, check_cell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.crystal.standardise import SYMPREC, find_group
from jaxcrys.data.parsing import parse
from jaxcrys.evaluation.charges import charge_neutral
from jaxcrys.evaluation.fingerprints import composition_fingerprint, structure_fingerprint
from jaxcrys.evaluation.samples import OWN, Sample, primitive_atoms
from jaxcrys.evaluation.validity import (
    classic_rules,
    distances_plausible,
    plausible,
    smact_rules,
    structure_valid,
)
from jaxcrys.geometry.periodic import pairwise_distances

SYMPRECS = (0.1, 0.01, 0.001)
"""Å."""

MOST_ATOMS = 500
"""In a cell as it was submitted."""

NEAREST_FOR_SYMMETRY = 0.3
"""Å; atoms that are nearer have no template."""


class Task(NamedTuple):
    """A sample, and whether its fingerprints are wanted."""

    sample: Sample
    fingerprints: bool = False


def examine(task: Task) -> dict[str, Any]:
    """The row of one sample: plain values, lists of them for cell and fingerprints.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.evaluation.samples import of_crystal
        >>> row = examine(Task(of_crystal(example_crystal(), "salt")))
        >>> row["formula"], row["group_0.1"], row["structure_valid"], row["composition_valid"]
        ('NaCl', 225, True, True)
    """
    sample = task.sample
    row: dict[str, Any] = {"name": sample.name, "asked": sample.asked, "reason": "", "detail": ""}
    try:
        cell = _cell(sample)
    except Rejection as rejection:
        return row | {"reason": rejection.code, "detail": rejection.problem}
    row["readable"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of elements on which libraries know too little
        distances = np.asarray(pairwise_distances(cell.frac, cell.lattice))
        row |= _composition(cell) | _geometry(cell, distances)
        row |= _validity(cell, row["formula"], distances) | _symmetry(cell)
        return row | (_fingerprints(cell, row["formula"]) if task.fingerprints else {})


def lost(task: Task) -> dict[str, Any]:
    """The row of a sample on which a worker died or hung."""
    return {
        "name": task.sample.name,
        "asked": task.sample.asked,
        "reason": "worker_died",
        "detail": "reading or judging it crashed a worker, or took longer than allowed",
    }


def _cell(sample: Sample) -> RawCell:
    """The cell as it was submitted, checked for what no crystal can have."""
    if sample.kind == OWN:
        raw = primitive_atoms(sample.content)
    else:
        raw = parse(sample.kind, sample.content)
    return check_cell(*raw, max_atoms=MOST_ATOMS, min_distance=0.0)


def _composition(cell: RawCell) -> dict[str, Any]:
    counts = Counter(cell.numbers.tolist())
    return {
        "formula": reduced_formula(counts),
        "elements": " ".join(sorted(SYMBOLS[number] for number in counts)),
        "num_elements": len(counts),
        "atoms": len(cell.numbers),
    }


def _geometry(cell: RawCell, distances: np.ndarray) -> dict[str, Any]:
    return {
        "volume_per_atom": abs(float(np.linalg.det(cell.lattice))) / len(cell.numbers),
        "density": density(cell),
        "shortest_distance": float(distances.min()),
        "cell": [cell.lattice.tolist(), cell.frac.tolist(), cell.numbers.tolist()],
    }


def _validity(cell: RawCell, formula: str, distances: np.ndarray) -> dict[str, Any]:
    structure = structure_valid(cell, distances)
    composition = classic_rules(formula)
    distance, sound = distances_plausible(cell, distances), plausible(cell)
    neutral = structure and charge_neutral(structure_from_raw(cell))
    return {
        "structure_valid": structure,
        "composition_valid": composition,
        "smact_valid": smact_rules(formula),
        "valid": structure and composition,
        "lemat_distance": distance,
        "lemat_charge": neutral,
        "lemat_plausible": sound,
        "lemat_valid": distance and neutral and sound,
    }


def _symmetry(cell: RawCell) -> dict[str, Any]:
    """Groups, and what the crystal is apart from its coordinates; empty where no symmetry fits."""
    try:
        crystal = from_arrays(*cell, symprec=SYMPREC, min_distance=NEAREST_FOR_SYMMETRY)
    except (Rejection, InputError):
        crystal = None
    known = {} if crystal is None else {SYMPREC: int(crystal.group)}
    row: dict[str, Any] = {
        f"group_{symprec}": known.get(symprec) or _group(cell, symprec) for symprec in SYMPRECS
    }
    if crystal is None:
        return row | {"protostructure": "", "prototype": "", "wyckoff": "", "sites": 0, "dof": 0,
                      "primitive_atoms": len(cell.numbers)}  # fmt: skip
    return row | {
        "protostructure": protostructure_label(crystal),
        "prototype": prototype_label(crystal),
        "wyckoff": wyckoff_string(crystal),
        "sites": int((np.asarray(crystal.wyckoff) > 0).sum()),
        "dof": total_dof(crystal),
        "primitive_atoms": int(num_primitive_atoms(crystal)),
    }


def _group(cell: RawCell, symprec: float) -> int:
    """The space group number; 0 where spglib finds none."""
    try:
        return find_group(cell, symprec=symprec)
    except Rejection:
        return 0


def _fingerprints(cell: RawCell, formula: str) -> dict[str, Any]:
    """Both fingerprints, or neither."""
    try:
        structure = structure_fingerprint(cell)
        composition = composition_fingerprint(formula)
    except InputError:
        raise
    except Exception as error:  # whatever matminer meets in impossible structures
        return {"fingerprint_failed": f"{type(error).__name__}: {error}"[:200]}
    if not (np.isfinite(structure).all() and np.isfinite(composition).all()):
        return {"fingerprint_failed": "not finite"}
    return {"structure_fingerprint": structure.tolist(),
            "composition_fingerprint": composition.tolist()}  # fmt: skip
