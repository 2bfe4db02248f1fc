"""Metrics: sums and counts on the device, means in a JSONL file."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.files import write_text
from jaxcrys.recipes.base import Metrics


def mean_metrics(metrics: list[Metrics]) -> dict[str, float]:
    """Means over several batches, by total sum and total count.

    Example:
        >>> mean_metrics([{"loss": (1.0, 1.0)}, {"loss": (5.0, 2.0)}])
        {'loss': 2.0}
    """
    fetched = jax.device_get(metrics)
    means = {}
    for name in fetched[0]:
        total, count = np.sum([[float(v) for v in m[name]] for m in fetched], 0)
        means[name] = float(total / count) if count else 0.0
    return means


class MetricsFile:
    """A JSONL file that forgets what lies after the step a run is resumed from."""

    def __init__(self, path: Path, *, resume_step: int) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= resume_step]
        write_text(path, "".join(line + "\n" for line in kept))

    def write(self, **values: Any) -> None:
        """Append one line; it reaches the file at once."""
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(values) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a metrics file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _step_of(line: str) -> float:
    """The step of a line; a line that a killed run left half-written counts as after the end."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")
