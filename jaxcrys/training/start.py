"""Start a run folder, or make sure that it is the one that is to be continued."""

import math
from pathlib import Path
from typing import Any

from jaxcrys.core.errors import InputError
from jaxcrys.core.files import sweep_partials
from jaxcrys.crystal.ragged import Ragged
from jaxcrys.crystal.types import Crystal
from jaxcrys.recipes.run_folder import config_path, metrics_path, read_run_config, write_run

ROUNDING = 1e-6
"""Settings that are relatively closer than this are the same."""


def start_run(run: Path, described: dict[str, Any], crystals: Crystal | Ragged) -> dict[str, Any]:
    """Write the run's config, or check that it is the one the run was started with.

    Returns:
        The config as it is stored: what was fitted to the data may differ from ``described`` in
        its last bits, after a change of machine or of a library.
    """
    for path in (run / "templates.npz", config_path(run), metrics_path(run)):
        sweep_partials(path)
    if not config_path(run).exists():
        write_run(run, described, crystals)
    stored = read_run_config(run)
    different = _differences(_identity(stored), _identity(described))
    if different:
        raise InputError(
            str(run),
            f"was started with other settings: {'; '.join(different[:4])}",
            "give the same ones to go on with it, or another --out",
        )
    return stored


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    """The config without the names of its datasets: their hashes tell what they are."""
    data = {k: v for k, v in config["data"].items() if k not in ("name", "validation")}
    return config | {"data": data}


def _differences(stored: Any, given: Any, where: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        names = sorted(set(stored) | set(given))
        return [
            text
            for name in names
            for text in _differences(
                stored.get(name), given.get(name), f"{where}.{name}" if where else name
            )
        ]
    if isinstance(stored, (list, tuple)) and isinstance(given, (list, tuple)):
        if len(stored) == len(given):
            numbered = enumerate(zip(stored, given, strict=True))
            return [t for i, pair in numbered for t in _differences(*pair, f"{where}[{i}]")]
    elif isinstance(stored, float) and isinstance(given, float):
        given = stored if math.isclose(stored, given, rel_tol=ROUNDING) else given
    return [] if stored == given else [f"{where} was {stored!r}, now {given!r}"]
