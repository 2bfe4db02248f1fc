"""The crystal type, its expansion to atoms, and its conversion from and to other formats."""

from jaxcrys.crystal.build import (
    Site,
    build_crystal,
    example_crystal,
    stack_crystals,
    validate,
)
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.storage import load_crystals, save_crystals
from jaxcrys.crystal.types import Crystal, UnitCell

__all__ = [
    "Crystal",
    "Site",
    "UnitCell",
    "build_crystal",
    "example_crystal",
    "expand",
    "load_crystals",
    "num_atoms",
    "save_crystals",
    "stack_crystals",
    "validate",
]
