"""The structures of a formula: templates from two sources, geometry, and the best first.

A template that is known keeps the geometry of the crystal it was taken from, in a cell of the size
that the new elements suggest; where the template is right this is nearly always right too. Of other
templates the model draws the geometry, several times, and the best is kept.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, write_json
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take, tree_hash
from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.buckets import fit_sites
from jaxcrys.crystal.describe import formula as formula_text
from jaxcrys.crystal.protostructure import prototype_label
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.retrieval import build_retriever
from jaxcrys.recipes.model import Model, model_to_json
from jaxcrys.sampling.draw import Draws
from jaxcrys.sampling.generate import digest, draw, finished
from jaxcrys.sampling.plan import blank
from jaxcrys.sampling.proposals import Proposals, Sources, best_proposals, propose
from jaxcrys.sampling.report import report_rows, write_report


@dataclasses.dataclass(frozen=True)
class Prediction:
    """How structures are predicted.

    Attributes:
        keep: structures of each formula, each of another template, the best first.
        candidates: draws of the geometry of each template, of which the best is kept.
        parents: whether known templates keep the geometry of the crystal they were taken from.
        sources: how many templates are looked at.
        clash_steps: steps by which atoms that are too near each other are moved apart.
    """

    keep: int = 5
    candidates: int = 4
    parents: bool = True
    sources: Sources = dataclasses.field(default_factory=Sources)
    clash_steps: int = 0


def predict(
    model: Model,
    out: Path | str,
    formulas: Sequence[str],
    *,
    templates: Model | None = None,
    settings: Prediction | None = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Predict structures and write them, with the score and the origin of each.

    Args:
        model: draws geometry; its training set is searched for known templates.
        out: folder to write, as by ``sampling.generate``.
        formulas: what is asked for; space group and number of formula units are open.
        templates: draws templates; by default ``model`` itself.
        settings: how many of what.
        seed: of all random numbers.
        batch_size: crystals that are drawn at a time, fewer of large cells.
        progress: told how far it is.

    Returns:
        The rows of the table, ``settings.keep`` for each formula at most.

    Raises:
        InputError: if a formula cannot be read or no group can hold it, or for an ``out`` that
            holds something else.
    """
    out, progress, settings = Path(out), progress or Progress(), settings or Prediction()
    for name, value in (("keep", settings.keep), ("candidates", settings.candidates)):
        if value < 1:
            raise InputError(f"--{name}", f"must be at least 1, got {value}")
    drawing = templates or model
    record = {
        "formulas": list(formulas),
        **dataclasses.asdict(settings),
        "seed": seed,
        "batch_size": batch_size,
        "run": str(model.run),
        "checkpoint": {"step": model.step, "sha256": tree_hash(model.params)},
        "templates": {"run": str(drawing.run), "sha256": tree_hash(drawing.params)},
        "model": model_to_json(model.config),
        "versions": library_versions(),
    }
    store = ChunkStore(out.parent / f".{out.name}.work", digest(record))
    rows = finished(out, record) if out.exists() else None
    if rows is not None:
        store.discard()
        return rows
    progress.say(
        f"predicting {len(formulas)} formula{'s' if len(formulas) > 1 else ''}: "
        f"{settings.sources.drawn} templates drawn by "
        f"{drawing.config.recipe}, {settings.sources.retrieved} of the training set"
    )
    retriever = build_retriever(model.templates) if settings.sources.retrieved else None
    found = propose(
        drawing, retriever, formulas, sources=settings.sources, seed=seed, progress=progress
    )
    chosen = best_proposals(found, keep=settings.keep)
    crystals, score = geometry(
        model, take(found.templates, chosen), found.row[chosen] >= 0, settings,
        seed=seed, batch_size=batch_size, store=store, progress=progress,
    )  # fmt: skip
    with progress.bar("describing", total=len(chosen)) as bar:
        shown = origin(model, formulas, found, chosen) | {
            "geometry": np.where(np.isnan(score), "parent", "drawn"),
            "geometry_score": np.round(score, 4),
        }
        rows = report_rows(crystals, seed=seed, more=shown, advance=bar.advance)
    with atomic_path(out) as partial:
        write_report(partial, crystals, rows)
        write_json(partial / "run.json", record)
    store.discard()
    return rows


def geometry(
    model: Model,
    templates: Crystal,
    known: Bool[np.ndarray, "m"],
    settings: Prediction,
    *,
    seed: int,
    batch_size: int,
    store: ChunkStore,
    progress: Progress,
) -> tuple[Crystal, Float[np.ndarray, "m"]]:
    """The crystal of each template, and the score of those drawn; NaN of others.

    Args:
        model: draws geometry.
        templates: with a geometry where they are known.
        known: where that is.
        settings: whether to keep it, and how often to draw.
        seed: of the draws.
        batch_size: crystals that are drawn at a time, fewer of large cells.
        store: keeps finished batches.
        progress: told how far it is.
    """
    rows = np.flatnonzero(~known) if settings.parents else np.arange(len(known))
    crystals = jax.tree.map(np.array, templates)
    score = np.full(len(known), np.nan)
    if len(rows):
        asked = take(templates, rows)
        empty = blank(asked.group, asked.wyckoff, asked.species, model.config.sites)
        draws = Draws(seed=seed, candidates=settings.candidates, clash_steps=settings.clash_steps)
        drawn = draw(model, empty, draws, batch_size=batch_size, store=store, progress=progress)
        fitted = fit_sites(drawn.crystals, templates.wyckoff.shape[-1])
        for name, values in vars(crystals).items():
            values[rows] = getattr(fitted, name)
        score[rows] = drawn.score
    return crystals, score


def origin(
    model: Model, formulas: Sequence[str], found: Proposals, chosen: Int[np.ndarray, "m"]
) -> dict[str, np.ndarray]:
    """Columns that say where each template came from, and why it was chosen."""
    kinds = np.array(["learned", "retrieved", "both"])
    kind = (found.times > 0) * 1 + (found.row >= 0) * 2 - 1
    parents = [
        formula_text(take(model.templates, row)) if row >= 0 else "" for row in found.row[chosen]
    ]
    return {
        "request": found.request[chosen],
        "asked": np.array(formulas)[found.request[chosen]],
        "rank": _ranks(found.request[chosen]),
        "score": np.round(found.score[chosen], 4),
        "log_prob": np.round(found.log_prob[chosen], 4),
        "source": kinds[kind[chosen]],
        "parent": np.array(parents),
        "parent_row": found.row[chosen],
        "distance": np.round(found.distance[chosen], 4),
        "prototype": np.array([prototype_label(take(found.templates, i)) for i in chosen]),
    }


def _ranks(request: Int[np.ndarray, "m"]) -> Int[np.ndarray, "m"]:
    """1 for the first row of each formula, 2 for the second, ..."""
    first = np.concatenate([[True], request[1:] != request[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(request)), 0))
    return np.arange(len(request)) - start + 1
