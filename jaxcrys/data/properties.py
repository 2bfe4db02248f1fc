"""Numeric columns of a dataset's table: properties that crystals can be drawn for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.data.dataset import TEXT_COLUMNS, Dataset, load_dataset


def numeric_columns(dataset: Dataset) -> dict[str, Float[np.ndarray, "b"]]:
    """Columns with numbers in them; NaN where there is none, or one that is not finite."""
    import pandas as pd

    found = {}
    for name in dataset.table.columns.difference(TEXT_COLUMNS, sort=False):
        values = np.array(pd.to_numeric(dataset.table[name], errors="coerce"), np.float64)
        values[~np.isfinite(values)] = np.nan
        if not np.isnan(values).all():
            found[str(name)] = values
    return found


def read_properties(path: Path | str, names: Sequence[str]) -> dict[str, Float[np.ndarray, "b"]]:
    """Columns of a dataset folder by name.

    Raises:
        InputError: for a name that is not a column with numbers, with those that there are.
    """
    known = numeric_columns(load_dataset(path))
    for name in names:
        if name not in known:
            raise InputError(
                "--properties", f"{path} has no numbers under {name!r}",
                f"known: {', '.join(known)}",
            )  # fmt: skip
    return {name: known[name] for name in names}
