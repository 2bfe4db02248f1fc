"""The convex hull of formation energies, and how far above it a crystal lies.

A crystal with shares x of the elements can decompose into any mixture of entries with the same
shares. The lowest energy of such a mixture is the hull,

    h(x) = min Σ_j λ_j e_j    with    Σ_j λ_j x_j = x,  λ_j ≥ 0,

a linear programme over the entries made of its elements; e - h(x) is its energy above the hull, and
the entries with λ_j > 0 are what it decomposes into. All e_j, and e, must come from the same
potential with the same corrections.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS, atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import write_json
from jaxcrys.core.typing import Float

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Scale:
    """On which energies a hull stands.

    Attributes:
        potential: name of the potential, or of the method.
        digest: SHA-256 of its weights.
        corrections: one of ``corrections.SCHEMES``.
    """

    potential: str
    digest: str
    corrections: str


@dataclasses.dataclass(frozen=True, eq=False)
class Hull:
    """Entries with their formation energies.

    Attributes:
        scale: on which energies it stands.
        source: where the entries came from, in words.
        references: energy per atom of each element on this scale, eV, by atomic number.
        names: of the entries.
        compositions: shares of the elements in each entry, [m, 119].
        energies: formation energies, eV per atom.
        left_out: crystals that have none, as an element of theirs has no reference.
    """

    scale: Scale
    source: str
    references: Mapping[int, float]
    names: tuple[str, ...]
    compositions: Float[np.ndarray, "m 119"]
    energies: Float[np.ndarray, "m"]
    left_out: int = 0

    @functools.cached_property
    def elements(self) -> frozenset[int]:
        """Elements that have an entry of their own or a reference: 0 eV at least."""
        pure = self.compositions[(self.compositions == 1).any(-1)]
        return frozenset(np.flatnonzero(pure.any(0)).tolist()) | frozenset(self.references)


@dataclasses.dataclass(frozen=True)
class Above:
    """How a crystal stands to the hull.

    Attributes:
        energy: above the hull, eV per atom, negative below it; NaN where an element is missing.
        products: what the mixture at the hull consists of, shares of the atoms by name.
        missing: elements that the hull does not know.
    """

    energy: float
    products: Mapping[str, float]
    missing: tuple[str, ...] = ()


def make_hull(
    scale: Scale,
    source: str,
    references: Mapping[int, float],
    entries: Iterable[tuple[str, Mapping[int, float], float]],
) -> Hull:
    """A hull of entries: name, shares of the elements, formation energy per atom.

    Of entries with the same composition only the lowest counts.
    """
    lowest: dict[bytes, tuple[str, np.ndarray, float]] = {}
    left_out = 0
    for name, composition, energy in entries:
        left_out += not np.isfinite(energy)
        row = np.zeros(119)
        row[list(composition)] = list(composition.values())
        key = np.round(row, 9).tobytes()
        if np.isfinite(energy) and (key not in lowest or energy < lowest[key][2]):
            lowest[key] = (name, row, float(energy))
    names, rows, energies = zip(*lowest.values(), strict=True) if lowest else ((), (), ())
    return Hull(
        scale=scale,
        source=source,
        references=dict(references),
        names=tuple(names),
        compositions=np.array(rows).reshape(-1, 119),
        energies=np.array(energies),
        left_out=left_out,
    )


def above_hull(hull: Hull, composition: Mapping[int, float], energy: float) -> Above:
    """How far a formation energy lies above the hull.

    Args:
        hull: the entries.
        composition: shares of the elements.
        energy: formation energy, eV per atom, on the hull's scale.

    Example:
        >>> scale = Scale("some", "", "none")
        >>> salt = ("NaCl", {11: 0.5, 17: 0.5}, -2.0)
        >>> hull = make_hull(scale, "", {11: 0.0, 17: 0.0}, [salt])
        >>> found = above_hull(hull, {11: 0.75, 17: 0.25}, -0.9)
        >>> round(found.energy, 3), found.products
        (0.1, {'NaCl': 0.5, 'Na': 0.5})
    """
    missing = sorted(set(composition) - hull.elements)
    if missing or not np.isfinite(energy):
        return Above(float("nan"), {}, tuple(SYMBOLS[z] for z in missing))
    elements = sorted(composition)
    others = np.delete(np.arange(119), elements)
    inside = np.flatnonzero(~(hull.compositions[:, others] > 0).any(-1))
    pure = np.eye(len(elements))
    rows = np.concatenate([hull.compositions[inside][:, elements], pure])
    energies = np.concatenate([hull.energies[inside], np.zeros(len(elements))])
    names = [hull.names[i] for i in inside] + [SYMBOLS[z] for z in elements]
    target = np.array([composition[z] for z in elements])
    mixture = _lowest(rows, energies, target)
    products: dict[str, float] = {}
    for index in np.argsort(-mixture):
        if mixture[index] > 1e-6:
            share = products.get(names[index], 0) + float(mixture[index])
            products[names[index]] = round(share, 6)
    return Above(float(energy - mixture @ energies), products)


def _lowest(
    rows: Float[np.ndarray, "m c"], energies: Float[np.ndarray, "m"], target: Float[np.ndarray, "c"]
) -> Float[np.ndarray, "m"]:
    """The mixture of lowest energy, by HiGHS."""
    from scipy.optimize import linprog

    found = linprog(energies, A_eq=rows.T, b_eq=target, method="highs")
    if found.x is None:
        raise ArithmeticError(f"no mixture found: {found.message}")  # the elements always are one
    return found.x


def check_scale(hull: Hull, scale: Scale, *, allow_other: bool) -> None:
    """Refuse energies of another kind than the hull's.

    Raises:
        InputError: unless they agree, or it was asked for.
    """
    if hull.scale != scale and not allow_other:
        raise InputError(
            "--hull",
            f"stands on {_named(hull.scale)}, the energies are of {_named(scale)}",
            "make one with the same potential (jaxcrys hull), or say --allow-other-hull",
        )


def _named(scale: Scale) -> str:
    return f"{scale.potential} [{scale.digest[:8]}], corrections {scale.corrections}"


def save_hull(path: Path | str, hull: Hull) -> None:
    """Write a hull as JSON, atomically."""
    entries = [
        {
            "name": name,
            "composition": {SYMBOLS[z]: row[z] for z in np.flatnonzero(row)},
            "formation_energy_per_atom": energy,
        }
        for name, row, energy in zip(
            hull.names, hull.compositions, hull.energies.tolist(), strict=True
        )
    ]
    write_json(
        path,
        {
            "format": FORMAT,
            **dataclasses.asdict(hull.scale),
            "source": hull.source,
            "references": {SYMBOLS[z]: value for z, value in hull.references.items()},
            "entries": entries,
        },
    )


def load_hull(path: Path | str) -> Hull:
    """Read what :func:`save_hull` wrote.

    Raises:
        InputError: if the file is missing, damaged or of another kind.
    """
    try:
        stored: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']}")
        scale = Scale(stored["potential"], stored["digest"], stored["corrections"])
        entries = [
            (
                str(entry["name"]),
                {
                    atomic_number(symbol): float(share)
                    for symbol, share in entry["composition"].items()
                },
                float(entry["formation_energy_per_atom"]),
            )
            for entry in stored["entries"]
        ]
        references = {atomic_number(symbol): float(e) for symbol, e in stored["references"].items()}
        numbers = [*references.values(), *(energy for _, _, energy in entries)]
        numbers += [share for _, composition, _ in entries for share in composition.values()]
        if not np.isfinite(numbers).all():
            raise ValueError("a number is not finite")
        source = str(stored["source"])
    except Exception as error:  # whatever there may be in place of a hull
        raise InputError(
            str(path), f"is not a hull ({error})", "make one: jaxcrys hull DATASET --potential ..."
        ) from error
    return make_hull(scale, source, references, entries)
