"""Evaluation of generated crystals against references and against what was asked."""

from jaxcrys.evaluation.matching import MatchSettings, match_rate, match_structures
from jaxcrys.evaluation.symmetry import SymmetryCheck, check_symmetry

__all__ = ["MatchSettings", "SymmetryCheck", "check_symmetry", "match_rate", "match_structures"]
