"""Lattices and periodic space: everything here is a pure function of arrays."""

from jaxcrys.geometry.lattice import (
    coefficients_from_matrix,
    matrix_from_coefficients,
    matrix_from_parameters,
    parameters_from_matrix,
    volume,
)
from jaxcrys.geometry.periodic import pairwise_distances, shortest_distance, wrap

__all__ = [
    "coefficients_from_matrix",
    "matrix_from_coefficients",
    "matrix_from_parameters",
    "pairwise_distances",
    "parameters_from_matrix",
    "shortest_distance",
    "volume",
    "wrap",
]
