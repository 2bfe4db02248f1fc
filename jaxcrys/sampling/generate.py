"""Generate crystals into a folder: resumable, atomic, the same bytes every time.

OUT/crystals.npz         the crystals as arrays
OUT/structures.extxyz    unit cells, one frame each
OUT/cif/00000.cif        with the full symmetry block
OUT/table.csv            one row for each sample
OUT/run.json             how they were made
"""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.chunks import ChunkStore
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, sha256, sweep_partials, write_json
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take, tree_hash
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.storage import CRYSTALS_FILE
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.recipes.library import is_model, load_model
from jaxcrys.recipes.model import Model, model_to_json
from jaxcrys.recipes.properties import Target
from jaxcrys.sampling.draw import Drawn, Draws, draw_batch, make_batches
from jaxcrys.sampling.guide import Guide, check_guide
from jaxcrys.sampling.plan import Plan, Request, Work, make_plan
from jaxcrys.sampling.report import report_rows, write_report
from jaxcrys.sampling.targets import target_of

_COLUMNS = ("sample", "candidate", "score")


def generate(
    model: Model,
    out: Path | str,
    *requests: Request,
    seed: int = 0,
    candidates: int = 1,
    keep: int = 1,
    clash_steps: int = 0,
    guide: Guide | None = None,
    batch_size: int = 64,
    strategy: str = "sharded",
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Draw crystals and write them; sample i depends on (seed, i) and its wish alone.

    An interrupted call with the same arguments goes on with the batches that are still missing. A
    finished folder made with the same arguments is left as it is.

    Args:
        model: the generator.
        out: folder to write.
        requests: what to draw, and how many.
        seed: of all random numbers.
        candidates: draws for each sample, of which the best by score are kept (``sampling.rank``).
        keep: how many of them; the set then has so many times as many crystals, the best first.
        clash_steps: steps by which atoms that are too near each other are moved apart
            (``crystal.feasibility``).
        guide: what makes better crystals of those that the sampler is heading for
            (``sampling.guide``).
        batch_size: samples that are drawn at a time, fewer of large cells.
        strategy: how they are laid over the devices (``parallel.rows``); the results are the same.
        progress: told how far it is.

    Returns:
        The rows of the table.

    Raises:
        InputError: for a wish that cannot be met, or an ``out`` that holds something else.
    """
    out = Path(out)
    progress = progress or Progress()
    _check_makes_crystals(model)
    for name, value in (("batch-size", batch_size), ("candidates", candidates), ("keep", keep)):
        if value < 1:
            raise InputError(f"--{name}", f"must be at least 1, got {value}")
    if candidates > 1 and model.config.functions.sample is None:
        raise InputError("--candidates", f"{model.config.recipe} does not rank what it draws")
    if keep > candidates:
        raise InputError("--keep", f"keeps {keep} of {candidates} candidates", "draw more of them")
    if clash_steps < 0:
        raise InputError("--clash-steps", f"must not be negative, got {clash_steps}")
    if guide is not None:
        check_guide(guide, model)
        if strategy != "sharded":
            raise InputError("--strategy", f"{strategy} knows no guides", "leave it out")
    draws = Draws(seed, candidates, keep, clash_steps, guide, strategy)
    record = _record(model, requests=requests, draws=draws, batch_size=batch_size)
    store = ChunkStore(out.parent / f".{out.name}.work", digest(record))
    rows = finished(out, record) if out.exists() else None
    sweep_partials(out)  # of a call that was killed
    if rows is not None:
        store.discard()
        return rows

    plan = make_plan(model, requests, seed=seed, work=Work(store, progress))
    for request, mode in zip(requests, plan.modes, strict=True):
        progress.say(f"{request.name or 'generating'}: {request.num} crystals, {mode}")
    drawn = draw(
        model, plan.templates, draws, target=target_of(model, plan.asked),
        batch_size=batch_size, store=store, progress=progress,
    )  # fmt: skip
    with progress.bar("describing", total=len(drawn.sample)) as bar:
        shown = _shown(requests, plan, drawn, candidates=candidates)
        rows = report_rows(drawn.crystals, seed=seed, more=shown, advance=bar.advance)
    with atomic_path(out) as partial:
        write_report(partial, drawn.crystals, rows)
        write_json(partial / "run.json", record | {"modes": plan.modes})
    store.discard()
    return rows


def _check_makes_crystals(model: Model) -> None:
    """Refuse a model whose results are no crystals."""
    instead = {
        "templates": "give it as --templates-from, beside --run of a recipe such as orbit_flow",
        "numbers": "judge crystals with it: jaxcrys estimate, or --property-guidance",
    }
    makes = model.config.functions.makes
    if makes in instead:
        what = "templates without geometry" if makes == "templates" else makes
        raise InputError(
            str(model.run), f"is a run of {model.config.recipe}, which makes {what}", instead[makes]
        )


def draw(
    model: Model,
    templates: Crystal,
    draws: Draws,
    *,
    batch_size: int,
    store: ChunkStore,
    progress: Progress,
    target: Target | None = None,
) -> Drawn:
    """Draw crystals for all templates, without files for them; what ``store`` has is not redone.

    Args:
        model: the generator.
        templates: a batch.
        draws: how often and how.
        batch_size: crystals that are drawn at a time, fewer of large cells.
        store: keeps finished batches.
        progress: told how far it is.
        target: properties that are asked of each.

    Returns:
        ``draws.keep`` crystals for each template, in the order of the templates, the best first.
    """
    if model.config.functions.sample is None:  # the recipe has drawn everything at once
        number = np.arange(len(templates.group))
        return Drawn(templates, number, np.zeros_like(number), np.zeros(len(number)))
    batches = make_batches(model, templates, batch_size=batch_size, candidates=draws.candidates)
    with progress.bar("generating", total=len(templates.group)) as bar:
        for number, batch in enumerate(batches):
            if not store.has(number):
                drawn = draw_batch(model, templates, batch, draws, target=target)
                store.save(number, vars(drawn.crystals) | _columns(drawn))
            bar.advance(len(batch.indices))
    return _join([store.load(number) for number in range(len(batches))])


def _shown(
    requests: Sequence[Request], plan: Plan, drawn: Drawn, *, candidates: int
) -> dict[str, np.ndarray]:
    """Further columns of the table, those that say something."""
    shown = {}
    if len(requests) > 1:
        names = np.array([request.name or str(i) for i, request in enumerate(requests)])
        shown["request"] = names[plan.request[drawn.sample]]
    if np.isfinite(plan.log_prob).any():
        shown["log_prob"] = np.round(plan.log_prob[drawn.sample], 4)
    for name, values in plan.asked.values.items():
        shown[f"asked_{name}"] = np.round(values[drawn.sample].astype(float), 4)
    return shown | (_columns(drawn) if candidates > 1 else {})


def _record(
    model: Model, *, requests: Sequence[Request], draws: Draws, batch_size: int
) -> dict[str, Any]:
    source = functools.cache(_source)  # many requests may name the same
    return {
        "requests": [_described(request, source) for request in requests],
        **draws.described(),
        "batch_size": batch_size,
        "run": str(model.run),
        "checkpoint": {"step": model.step, "sha256": tree_hash(model.params)},
        "model": model_to_json(model.config),
        "versions": library_versions(),
    }


def _described(request: Request, source: Callable[[Path], Any]) -> dict[str, Any]:
    """What is asked for, without what is left open."""
    given = {name: value for name, value in vars(request.wish).items() if value is not None}
    if request.wish.templates_from is not None:
        given["templates_from"] = source(request.wish.templates_from)
    return {"name": request.name, "num": request.num, **given}


def _source(path: Path) -> dict[str, str]:
    """Where templates come from, and the hash of what lay there."""
    if is_model(path):
        return {"path": str(path), "sha256": tree_hash(load_model(path).params)}
    file = path / CRYSTALS_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(str(path), "is not a dataset", "make one: jaxcrys prepare FILES --out ...")
    return {"path": str(path), "sha256": sha256(file)}


def digest(record: dict[str, Any]) -> str:
    """A name for what a record describes."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def finished(out: Path, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a folder that this very call has made before."""
    try:
        stored = json.loads((out / "run.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        stored = None
    if not isinstance(stored, dict) or (
        {name: value for name, value in stored.items() if name != "modes"}
        != json.loads(json.dumps(record))
    ):
        raise InputError(str(out), "exists and was made otherwise", "choose another --out")
    return read_rows(out)


def _columns(drawn: Drawn) -> dict[str, np.ndarray]:
    return {name: getattr(drawn, name) for name in _COLUMNS}


def _join(chunks: list[dict[str, np.ndarray]]) -> Drawn:
    """All batches in the order of the samples."""
    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    joined = take(joined, np.argsort(joined["sample"], kind="stable"))
    columns = {name: joined.pop(name) for name in _COLUMNS}
    return Drawn(Crystal(**joined), **columns)
