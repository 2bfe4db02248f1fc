"""Templates counted up to the normaliser are as many as there are protostructure labels."""

import numpy as np
import pytest

from jaxcrys.crystal import Crystal
from jaxcrys.crystal.protostructure import protostructure_label
from jaxcrys.symmetry import degrees_of_freedom, position_permutations
from jaxcrys.symmetry.oracles import count_templates, site_arrays, templates

CASES = [
    (2, {8: 2, 22: 1}, 1), (10, {11: 1, 17: 1}, 1), (14, {8: 1, 22: 1}, 4), (47, {8: 2, 22: 1}, 1),
    (62, {8: 3, 20: 1, 22: 1}, 4), (123, {8: 3, 22: 1}, 1), (166, {16: 2, 42: 1}, 3),
    (194, {16: 2, 42: 1}, 2), (216, {16: 1, 30: 1}, 4), (221, {8: 3, 22: 1, 56: 1}, 1),
    (225, {17: 2, 19: 1}, 4), (22, {16: 1, 30: 1}, 4), (198, {14: 1, 26: 1}, 4),
]  # fmt: skip


@pytest.mark.parametrize(("group", "formula", "z"), CASES)
def test_as_many_as_labels(group, formula, z):
    labels = set()
    listed = list(templates(formula, group, z))
    for sites in listed:
        wyckoff, species = site_arrays(group, sites)
        free = np.where(degrees_of_freedom(wyckoff)[:, None] > np.arange(3), 0.1, 0)
        crystal = Crystal(np.asarray(group), wyckoff, species, free, np.zeros(6))
        labels.add(protostructure_label(crystal))
    permutations = position_permutations(group)
    assert count_templates(formula, group, z) == len(listed) > 0
    assert count_templates(formula, group, z, permutations=permutations) == len(labels)
    kept = list(templates(formula, group, z, permutations=permutations))
    assert len(kept) == len(labels)
