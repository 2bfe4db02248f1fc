"""Where hulls come from: labelled crystals, entries of pymatgen, crystals by the same potential."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.elements import atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float
from jaxcrys.core.untrusted import read_text
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.types import Crystal
from jaxcrys.stability.hull import Hull, Scale, make_hull
from jaxcrys.stability.references import fit_references, formation_energy, shares


def hull_of_labels(
    crystals: Sequence[Crystal],
    names: Sequence[str],
    formation: Float[np.ndarray, "m"],
    energies: Float[np.ndarray, "m"],
    *,
    scale: Scale,
    source: str,
) -> Hull:
    """Formation energies that are known, and elemental references that bring a potential to them.

    Args:
        crystals: of a dataset.
        names: of each.
        formation: known formation energies, eV per atom; NaN is left out.
        energies: of the potential, corrected, eV per atom; NaN is left out of the fit.
        scale: of those energies.
        source: in words.
    """
    compositions = [shares(crystal) for crystal in crystals]
    references = fit_references(compositions, energies, formation)
    return make_hull(scale, source, references, zip(names, compositions, formation, strict=True))


def hull_of_energies(
    crystals: Sequence[Crystal],
    names: Sequence[str],
    energies: Float[np.ndarray, "m"],
    *,
    scale: Scale,
    source: str,
    references: Mapping[int, float] | None = None,
) -> Hull:
    """Crystals evaluated with one potential; elements stand where their lowest crystal stands.

    Args:
        crystals: single crystals.
        names: of each.
        energies: eV per atom, all of the same potential and corrections.
        scale: which that are.
        source: in words.
        references: for elements that have no crystal of their own.
    """
    compositions = [shares(crystal) for crystal in crystals]
    found = dict(references or {})
    pure: dict[int, float] = {}
    for composition, energy in zip(compositions, energies, strict=True):
        if len(composition) == 1 and np.isfinite(energy):
            (number,) = composition
            pure[number] = min(float(energy), pure.get(number, np.inf))
    found |= pure
    entries = [
        (name, composition, formation_energy(composition, float(energy), found))
        for name, composition, energy in zip(names, compositions, energies, strict=True)
    ]
    return make_hull(scale, source, found, entries)


def hull_of_entries(path: Path | str, *, method: str = "DFT") -> Hull:
    """Entries of pymatgen: a list of ComputedEntries, a PhaseDiagram or a PatchedPhaseDiagram.

    Energies are the entries' own, with their corrections; elements stand where their lowest entry
    stands.

    Args:
        path: JSON, plain or compressed, as ``monty.serialization.dumpfn`` writes it.
        method: name of what computed the energies.

    Raises:
        InputError: if the file is something else.
    """
    try:
        stored = json.loads(read_text(Path(path)))
        read = [_entry(entry) for entry in _entries_in(stored)]
    except InputError:
        raise
    except Exception as error:  # whatever pymatgen meets in what are no entries
        raise InputError(
            str(path), f"holds no entries of pymatgen ({error})",
            "give JSON of ComputedEntries, of a PhaseDiagram or of a PatchedPhaseDiagram",
        ) from error  # fmt: skip
    pure: dict[int, float] = {}
    for _, composition, energy in read:
        if len(composition) == 1:
            (number,) = composition
            pure[number] = min(energy, pure.get(number, np.inf))
    return make_hull(
        Scale(method, "", "as given"),
        f"{len(read)} entries of {Path(path).name}",
        pure,
        [
            (name, composition, formation_energy(composition, energy, pure))
            for name, composition, energy in read
        ],
    )


def _entries_in(stored: Any) -> list[Any]:
    """The entries of a list, or of a phase diagram of either kind, whichever version wrote it."""
    if isinstance(stored, dict):
        stored = stored if "all_entries" in stored else stored["computed_data"]
        stored = stored["all_entries"]
    if not isinstance(stored, list):
        raise ValueError("neither a list of entries nor a phase diagram")
    return stored


def _entry(entry: dict[str, Any]) -> tuple[str, dict[int, float], float]:
    """Name, composition and corrected energy per atom, from plain values.

    monty would make objects of them, and import whatever modules a file names for that.
    """
    from pymatgen.core import Composition

    composition = Composition(entry["composition"])
    amounts = composition.fractional_composition.get_el_amt_dict()
    shares = {atomic_number(symbol): float(share) for symbol, share in amounts.items()}
    energy = float(entry["energy"]) + float(entry.get("correction") or 0)
    if not np.isfinite(energy):
        raise ValueError("an energy is not finite")
    name = entry.get("entry_id") or composition.reduced_formula
    return str(name), shares, energy / composition.num_atoms


def entry_names(crystals: Sequence[Crystal], ids: Sequence[str]) -> list[str]:
    """Formula and identifier, such as NaCl (mp-22862)."""
    return [f"{formula(one)} ({name})" for one, name in zip(crystals, ids, strict=True)]
