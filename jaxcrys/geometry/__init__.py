"""Lattices and periodic space: everything here is a pure function of arrays."""

from jaxcrys.geometry.lattice import (
    coefficients_from_matrix,
    matrix_from_coefficients,
    matrix_from_parameters,
    parameters_from_matrix,
    volume,
)
from jaxcrys.geometry.periodic import nearest_image, pairwise_distances, shortest_distance, wrap
from jaxcrys.geometry.reduction import reduce_lattice

__all__ = [
    "coefficients_from_matrix",
    "matrix_from_coefficients",
    "matrix_from_parameters",
    "nearest_image",
    "pairwise_distances",
    "parameters_from_matrix",
    "reduce_lattice",
    "shortest_distance",
    "volume",
    "wrap",
]
