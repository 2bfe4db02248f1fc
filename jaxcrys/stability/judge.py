"""From a potential's energy to columns of a table: formation energy, energy above the hull."""

import dataclasses
from typing import Any

import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.types import Crystal
from jaxcrys.stability.corrections import SCHEMES, correction
from jaxcrys.stability.hull import Hull, Scale, above_hull, check_scale
from jaxcrys.stability.references import formation_energy, shares

DECIMALS = 5


@dataclasses.dataclass(frozen=True)
class Judge:
    """What is said of an energy.

    Attributes:
        scale: of the energies that are judged.
        hull: what they are compared with; without one, only corrections are added.
    """

    scale: Scale
    hull: Hull | None = None

    def columns(self, crystal: Crystal, energy: float) -> dict[str, Any]:
        """Columns for one crystal with an energy in eV per atom, NaN if it has none.

        ``missing_elements`` names what the hull does not know; other crystals are not touched.
        """
        added = correction(crystal) if self.scale.corrections == "MP2020" else 0.0
        columns: dict[str, Any] = {"correction": round(added, DECIMALS)}
        if self.hull is None:
            return columns
        composition = shares(crystal)
        formed = formation_energy(composition, energy + added, self.hull.references)
        found = above_hull(self.hull, composition, formed)
        products = " + ".join(f"{x:.3g} {name}" for name, x in found.products.items())
        return columns | {
            "e_form": _rounded(formed),
            "e_hull": _rounded(found.energy),
            "decomposes_to": products,
            "missing_elements": " ".join(found.missing),
        }


def make_judge(scale: Scale, hull: Hull | None, *, allow_other: bool = False) -> Judge:
    """A judge, if the hull stands on the same energies.

    Raises:
        InputError: if it does not, or for unknown corrections.
    """
    if scale.corrections not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise InputError("--corrections", f"must be one of {known}, got {scale.corrections}")
    if hull is not None:
        check_scale(hull, scale, allow_other=allow_other)
    return Judge(scale, hull)


def _rounded(value: float) -> float | str:
    return round(value, DECIMALS) if np.isfinite(value) else ""
