"""Generated crystals as they were submitted: whatever a generator wrote, nothing left out.

What cannot be read stays a sample, as every figure is a share of what was submitted. Texts are
carried as they are, and parsed where they can do no harm (``evaluation.examine``).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal.convert import cell_and_labels
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.storage import CRYSTALS_FILE, load_crystals
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.readers import read_records
from jaxcrys.data.rows import record_id

OWN = "crystal"
"""Kind of a sample that is a crystal of ours."""


class Sample(NamedTuple):
    """One structure as it was submitted.

    Attributes:
        name: of the structure, to find it again.
        kind: how to parse ``content``: a key of ``data.parsing.PARSERS``, or ``OWN``.
        content: text, plain values, or a single crystal.
        asked: the space group that was asked for, 0 if none is known.
    """

    name: str
    kind: str
    content: Any
    asked: int = 0


def read_samples(path: Path | str, *, limit: int | None = None) -> list[Sample]:
    """All samples of a generated set of ours, a dataset, or of files as others write them.

    Args:
        path: a folder with ``crystals.npz``, or what ``data.readers`` understands.
        limit: the first so many only.

    Raises:
        InputError: if nothing can be read, or there is nothing.
    """
    path = Path(path)
    if path.is_dir() and (path / CRYSTALS_FILE).exists():
        crystals = load_crystals(path)
        count = len(crystals.group) if limit is None else min(limit, len(crystals.group))
        return [of_crystal(take(crystals, index), f"{index:05d}") for index in range(count)]
    samples = []
    for record in read_records(path):
        if limit is not None and len(samples) == limit:
            break
        samples.append(Sample(record_id(record), record.kind, record.content))
    return samples


def primitive_atoms(crystal: Crystal) -> RawCell:
    """The primitive cell of a crystal of ours, which is what data sets and other systems hold.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> primitive_atoms(example_crystal()).numbers.tolist()
        [11, 17]
    """
    if not np.isfinite(crystal.lattice).all():  # some cell, for the reason why there is none
        return cell_and_labels(crystal)[0]
    return cell_and_labels(to_p1(crystal))[0]


def of_crystal(crystal: Crystal, name: str) -> Sample:
    """A crystal of ours as a sample; its group is what was asked for.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> of_crystal(example_crystal(), "salt").asked
        225
    """
    return Sample(name, OWN, crystal, int(np.asarray(crystal.group)))
