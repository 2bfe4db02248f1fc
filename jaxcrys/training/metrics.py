"""Metrics: sums and counts on the device, means in a JSONL file."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.files import write_text
from jaxcrys.recipes.base import Metrics


def mean_metrics(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
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


class Window:
    """Metrics of the steps since the last line of the log; they stay on the device until fetched.

    Example:
        >>> window = Window([{"loss": [1.0, 1.0]}])
        >>> window.add({"loss": (3.0, 1.0)})
        >>> window.close()[0], window.fetch()
        ({'loss': 2.0}, [])
    """

    def __init__(self, waiting: list[dict[str, list[float]]] | None = None) -> None:
        self._metrics: list = list(waiting or [])
        self.restart()

    def restart(self) -> None:
        """Measure the time from now on."""
        self._steps, self._started = 0, time.monotonic()

    def add(self, metrics: Metrics) -> None:
        """One step is done."""
        self._metrics.append(metrics)
        self._steps += 1

    def fetch(self) -> list[dict[str, list[float]]]:
        """The sums and counts of each step, as plain numbers."""
        fetched = jax.device_get(self._metrics)
        return [{name: [float(v) for v in pair] for name, pair in one.items()} for one in fetched]

    def close(self) -> tuple[dict[str, float], float]:
        """Means over all steps, and seconds of a step; the next window begins."""
        means = mean_metrics(self._metrics)
        seconds = (time.monotonic() - self._started) / max(self._steps, 1)
        self._metrics = []
        self.restart()
        return means, seconds


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
