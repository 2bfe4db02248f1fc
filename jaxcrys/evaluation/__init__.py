"""Evaluation of generated crystals against references and against what was asked."""

from jaxcrys.evaluation.matching import MatchSettings, match_rate, match_structures
from jaxcrys.evaluation.symmetry import SymmetryCheck, check_symmetry
from jaxcrys.evaluation.validity import (
    composition_valid,
    distances_plausible,
    structure_valid,
)

__all__ = [
    "MatchSettings",
    "SymmetryCheck",
    "check_symmetry",
    "composition_valid",
    "distances_plausible",
    "match_rate",
    "match_structures",
    "structure_valid",
]
