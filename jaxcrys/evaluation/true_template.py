"""Structure prediction with the true template: what a model is told, and how its draws are scored.

A model is told group, positions and elements of known crystals and draws coordinates and lattice; a
draw counts if the StructureMatcher superposes it on its crystal (``evaluation.matching``).
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.pytree import take, tree_hash
from jaxcrys.core.typing import Float
from jaxcrys.crystal.types import Crystal
from jaxcrys.evaluation.matching import match_rate, match_structures
from jaxcrys.evaluation.validity import composition_valid, structure_valid
from jaxcrys.recipes.model import Model, model_to_json
from jaxcrys.sampling.draw import Drawn, Draws
from jaxcrys.sampling.generate import digest
from jaxcrys.symmetry import crystal_system, degrees_of_freedom

BINS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 10_000))
"""Free coordinates, for results by difficulty."""
SYSTEMS = (
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
)  # fmt: skip


def evenly_spaced(crystals: Crystal, count: int) -> Crystal:
    """``count`` crystals spread over the whole set; all if it has no more.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> evenly_spaced(stack_crystals([example_crystal()] * 5), 2).group.shape
        (2,)
    """
    whole = len(crystals.group)
    return take(crystals, np.linspace(0, whole - 1, min(count, whole)).astype(int))


def templates_of(references: Crystal) -> Crystal:
    """What a model is told of known crystals: no coordinates and no lattice."""
    return dataclasses.replace(
        references,
        free=np.zeros_like(references.free),
        lattice=np.zeros_like(references.lattice),
    )


def store_of(folder: Path, model: Model, references: Crystal, draws: Draws) -> ChunkStore:
    """Where finished batches of these very draws are kept while others are under way."""
    drawn_from = {
        "model": model_to_json(model.config),
        "params": tree_hash(model.params),
        "references": tree_hash(references),
        "draws": draws.described(),
    }
    return ChunkStore(folder, digest(drawn_from))


def errors(predicted: Crystal, references: Crystal) -> Float[np.ndarray, "b"]:
    """RMSE of each prediction against its reference, infinite where they do not match."""
    found = match_structures(predicted, references, workers=os.cpu_count() or 1)
    return np.array([np.inf if value is None else value for value in found])


def rate(rmse: Float[np.ndarray, "b"]) -> list[float | None]:
    """Match rate and RMSE with four decimals; None for the RMSE of no match, as JSON wants it.

    Example:
        >>> rate(np.array([0.1, np.inf])), rate(np.array([np.inf]))
        ([0.5, 0.1], [0.0, None])
    """
    found = match_rate([value if np.isfinite(value) else None for value in rmse])
    return [None if np.isnan(value) else round(value, 4) for value in found]


def score(drawn: Drawn, references: Crystal, candidates: int) -> dict[str, Any]:
    """Match rates and RMSE: of one draw, of the chosen one, and of the best of all candidates."""
    predicted = drawn.crystals
    repeated = take(references, np.repeat(np.arange(len(references.group)), candidates))
    rmse = errors(predicted, repeated).reshape(-1, candidates)
    rows = np.arange(len(rmse))
    picks = {
        "one draw": (drawn.candidate.reshape(rmse.shape) == 0).argmax(-1),
        "chosen": np.zeros(len(rmse), int),
        "best": rmse.argmin(-1),
    }
    return {"count": len(rmse), "candidates": candidates} | {
        name: outcome(rmse[rows, pick], take(predicted, rows * candidates + pick), references)
        for name, pick in picks.items()
        if candidates > 1 or name == "one draw"
    }


def outcome(
    rmse: Float[np.ndarray, "b"], predicted: Crystal, references: Crystal
) -> dict[str, Any]:
    """Match rate and RMSE of one prediction each: of all, of valid pairs, and by kind."""
    count = len(rmse)
    valid = np.array([structure_valid(take(predicted, i)) for i in range(count)])
    both = valid & [
        structure_valid(take(references, i)) and composition_valid(take(references, i))
        for i in range(count)  # predictions have the same composition
    ]
    dof = np.asarray(degrees_of_freedom(np.asarray(references.wyckoff))).sum(-1)
    system = np.array([crystal_system(int(group)) for group in references.group])
    return {
        "match rate, RMSE": rate(rmse),
        "match rate, RMSE of valid pairs": rate(np.where(both, rmse, np.inf)),
        "standard error": round(float(np.isfinite(rmse).std() / np.sqrt(count)), 4),
        "structures valid": int(valid.sum()),
        "by free coordinates (count, match rate, RMSE)": _in_parts(
            rmse, {f"{low}-{min(high, int(dof.max()))}": (dof >= low) & (dof <= high)
                   for low, high in BINS}
        ),
        "by crystal system": _in_parts(rmse, {name: system == name for name in SYSTEMS}),
    }  # fmt: skip


def _in_parts(
    rmse: Float[np.ndarray, "b"], parts: dict[str, np.ndarray]
) -> dict[str, list[float | None]]:
    """Count, match rate and RMSE of each part that has members."""
    return {
        name: [int(members.sum()), *rate(rmse[members])]
        for name, members in parts.items()
        if members.any()
    }
