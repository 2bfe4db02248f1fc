"""``jaxcrys estimate``."""

import dataclasses
import functools
import operator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from jaxcrys.cli.arguments import Set
from jaxcrys.cli.console import Console
from jaxcrys.cli.fit import estimate_columns
from jaxcrys.cli.source import as_set
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, sha256, write_json
from jaxcrys.core.pytree import take, tree_hash
from jaxcrys.core.versions import library_versions
from jaxcrys.crystal.storage import CRYSTALS_FILE, load_crystals
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.recipes.library import load_model
from jaxcrys.recipes.model import Model
from jaxcrys.sampling.estimate import (
    Estimated,
    estimate,
    known_elements,
    probability_within,
    targets_of,
)
from jaxcrys.sampling.report import OK, write_report
from jaxcrys.sampling.wish import parse_properties

WANTED = "probability_wanted"


@dataclasses.dataclass(frozen=True)
class Command:
    """Estimate numbers of crystals, and keep those that most likely have what is wanted.

    Attributes:
        source: crystals: a generated set, a dataset, or files as 'jaxcrys prepare' reads them.
        out: folder for the same crystals, with the estimates and their spread in table.csv.
        trained: a run made by 'jaxcrys fit'.
        want: ranges or values, such as "band_gap=1:2"; the crystals are then ordered by the
            probability that they have all of them, the likeliest first.
        keep: how many of these.
    """

    source: Set
    out: Path
    trained: Annotated[str, tyro.conf.arg(name="run")]
    want: str | None = None
    keep: int | None = None

    def run(self, console: Console) -> None:
        """Estimate, and write what is kept."""
        model = load_model(self.trained)
        wanted = self._check(model)
        with as_set(self.source, self.out, console.progress) as folder:
            self._judge(model, folder, wanted, console)

    def _judge(
        self, model: Model, folder: Path, wanted: dict[str, tuple[float, float]], console: Console
    ) -> None:
        crystals, rows = load_crystals(folder), read_rows(folder)
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
        first = {"id": "", "status": OK}
        rows = [first | rows[i] | own for i, own in zip(order, more, strict=True)]
        with atomic_path(self.out) as partial:
            write_report(partial, take(crystals, order), rows)
            write_json(partial / "run.json", self._record(model, folder))
        self._tell(console, found, order, rows)

    def _check(self, model: Model) -> dict[str, tuple[float, float]]:
        """What is wanted, if all that is asked can be done."""
        if self.keep is not None and (self.want is None or self.keep < 1):
            raise InputError("--keep", "is a number of the likeliest crystals", "say --want too")
        if self.out.exists():
            raise InputError(str(self.out), "exists", "choose another --out")
        names, wanted = targets_of(model), parse_properties(self.want) if self.want else {}
        for name in wanted:
            if name not in names:
                raise InputError(
                    "--want", f"{self.trained} does not estimate {name!r}",
                    f"it knows {', '.join(names)}",
                )  # fmt: skip
        return wanted

    def _record(self, model: Model, folder: Path) -> dict[str, Any]:
        return {
            "source": str(self.source),
            "sha256": sha256(folder / CRYSTALS_FILE),
            "regressor": {"run": self.trained, "sha256": tree_hash(model.params)},
            "want": self.want,
            "keep": self.keep,
            "versions": library_versions(),
        }

    def _tell(
        self,
        console: Console,
        found: dict[str, Estimated],
        order: np.ndarray,
        rows: list[dict[str, Any]],
    ) -> None:
        unknown = sum(not row["known_elements"] for row in rows)
        if unknown:
            console.tell(f"{unknown} crystals have elements that {self.trained} has never seen")
        for name, estimated in found.items():
            low, middle, high = np.quantile(estimated.mean[order], [0, 0.5, 1])
            console.tell(f"{name}: median {middle:.4g}, from {low:.4g} to {high:.4g}")
        console.tell(f"written to {self.out}", out=self.out, crystals=rows)


def _rounded(value: np.generic) -> float | bool:
    return bool(value) if isinstance(value, np.bool_) else float(f"{value:.6g}")
