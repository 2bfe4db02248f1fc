"""``jaxcrys estimate``."""

import dataclasses
import functools
import operator
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jaxcrys.cli.console import Console
from jaxcrys.cli.fit import estimate_columns
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, sha256, write_json
from jaxcrys.core.pytree import take, tree_hash
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.storage import CRYSTALS_FILE, load_crystals
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.estimate import (
    check_estimates,
    estimate,
    known_elements,
    probability_within,
    targets_of,
)
from jaxcrys.sampling.report import OK, read_rows, write_report
from jaxcrys.sampling.wish import parse_properties

WANTED = "probability_wanted"


@dataclasses.dataclass(frozen=True)
class Command:
    """Estimate numbers of crystals, and keep those that most likely have what is wanted.

    Attributes:
        source: a set made by 'jaxcrys generate', 'predict' or 'relax', or a dataset.
        out: folder for the same crystals, with the estimates and their spread in table.csv.
        trained: a run made by 'jaxcrys fit'.
        want: ranges or values, such as "band_gap=1:2"; the crystals are then ordered by the
            probability that they have all of them, the likeliest first.
        keep: how many of these.
    """

    source: tyro.conf.Positional[Path]
    out: Path
    trained: Annotated[str, tyro.conf.arg(name="run")]
    want: str | None = None
    keep: int | None = None

    def run(self, console: Console) -> None:
        """Estimate."""
        if self.keep is not None and (self.want is None or self.keep < 1):
            raise InputError("--keep", "is a number of the likeliest crystals", "say --want too")
        if self.out.exists():
            raise InputError(str(self.out), "exists", "choose another --out")
        if not (self.source / CRYSTALS_FILE).exists():
            raise InputError(
                str(self.source), "is no set of crystals", "read files first: jaxcrys prepare"
            )
        model = load_model(self.trained)
        check_estimates(model)
        names, wanted = targets_of(model), parse_properties(self.want) if self.want else {}
        for name in wanted:
            if name not in names:
                raise InputError(
                    "--want", f"{self.trained} does not estimate {name!r}",
                    f"it knows {', '.join(names)}",
                )  # fmt: skip
        crystals, rows = load_crystals(self.source), read_rows(self.source)
        found = estimate(model, crystals, progress=console.progress)
        columns = {}
        for name, estimated in found.items():
            columns |= estimate_columns(name, estimated)
        order = np.arange(len(rows))
        if wanted:
            each = [probability_within(found[name], *limits) for name, limits in wanted.items()]
            columns[WANTED] = functools.reduce(operator.mul, each)
            order = np.argsort(-columns[WANTED], kind="stable")[: self.keep]
        columns["known_elements"] = known_elements(model, crystals)
        more = [{name: _rounded(each[i]) for name, each in columns.items()} for i in order]
        rows = [
            {"id": "", "status": OK} | rows[i] | own for i, own in zip(order, more, strict=True)
        ]
        with atomic_path(self.out) as partial:
            write_report(partial, take(crystals, order), rows)
            write_json(partial / "run.json", {
                "source": str(self.source), "sha256": sha256(self.source / CRYSTALS_FILE),
                "regressor": {"run": self.trained, "sha256": tree_hash(model.params)},
                "want": self.want, "keep": self.keep, "versions": library_versions(),
            })  # fmt: skip
        unknown = int((~columns["known_elements"][order]).sum())
        if unknown:
            console.tell(f"{unknown} crystals have elements that {self.trained} has never seen")
        for name, estimated in found.items():
            values = estimated.mean[order]
            console.tell(f"{name}: median {np.median(values):.4g}, from {values.min():.4g} to "
                         f"{values.max():.4g}")  # fmt: skip
        console.tell(f"written to {self.out}", out=self.out, crystals=rows)


def _rounded(value: np.generic) -> float | bool:
    return bool(value) if isinstance(value, np.bool_) else float(f"{value:.6g}")
