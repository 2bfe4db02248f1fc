"""Substituted crystals keep their template; elements go together and stay apart."""

import dataclasses
import functools

import jax
import numpy as np

from jaxcrys.core.elements import atomic_number
from jaxcrys.data.atomic_volume import cell_volumes
from jaxcrys.data.element_similarity import MODIFIED_PETTIFOR
from jaxcrys.recipes.lattice_prior import fit_lattice_prior
from jaxcrys.recipes.substitution import HEAVIEST, replacement_logits, substitute
from jaxcrys.symmetry import multiplicity
from tests.crystals import random_crystals

CRYSTALS = random_crystals(40, sites=4, seed=5)
PRIOR = fit_lattice_prior(CRYSTALS, species_known=True)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, 0, None))
def substitute_each(key, crystal, share):
    return substitute(key, crystal, PRIOR, share)


def substituted(share, seed=0, crystals=CRYSTALS):
    keys = jax.random.split(jax.random.key(seed), len(crystals.group))
    return jax.device_get(substitute_each(keys, crystals, share))


def test_only_elements_and_volume_change():
    changed = substituted(1.0)
    for name in ("group", "wyckoff", "free"):
        np.testing.assert_allclose(getattr(changed, name), getattr(CRYSTALS, name), atol=1e-6)
    np.testing.assert_allclose(changed.lattice[:, :5], CRYSTALS.lattice[:, :5], atol=1e-6)
    assert (changed.species != CRYSTALS.species).mean() > 0.3
    np.testing.assert_array_equal(changed.species == 0, CRYSTALS.species == 0)


def test_sites_of_one_element_go_together_and_elements_stay_apart():
    """The map of elements is one to one, in every crystal."""
    changed = substituted(1.0, seed=1)
    for before, after in zip(CRYSTALS.species, changed.species, strict=True):
        pairs = {*zip(before[before > 0].tolist(), after[before > 0].tolist(), strict=True)}
        assert len({old for old, _ in pairs}) == len(pairs) == len({new for _, new in pairs})


def test_volumes_follow_the_atoms():
    changed = substituted(1.0, seed=2)
    volumes = np.asarray(PRIOR.volumes)
    atoms = multiplicity(CRYSTALS.wyckoff)
    expected = (volumes[changed.species] * atoms).sum(-1) / (volumes[CRYSTALS.species] * atoms).sum(
        -1
    )
    ratio = cell_volumes(changed) / cell_volumes(CRYSTALS)
    np.testing.assert_allclose(ratio, expected, rtol=1e-4)


def test_share_is_how_often_anything_happens():
    assert (substituted(0.0).species == CRYSTALS.species).all()
    many = jax.tree.map(lambda a: np.repeat(a, 50, 0), CRYSTALS)
    half, whole = (
        (substituted(share, crystals=many).species != many.species).any(-1).mean()
        for share in (0.5, 1.0)
    )
    assert abs(half - whole / 2) < 0.04


def test_replacements_are_neighbours_on_the_scale():
    weights = np.exp(replacement_logits()[: HEAVIEST + 1].astype(float))
    place = {atomic_number(symbol): i for i, symbol in enumerate(MODIFIED_PETTIFOR)}
    for element in (3, 8, 26, 60):
        steps = np.array([abs(place[z] - place[element]) for z in range(1, HEAVIEST + 1)])
        chance = weights[element, 1 : HEAVIEST + 1] / weights[element].sum()
        assert 1 < (chance * steps).sum() < 8
        assert (np.diff(chance[np.argsort(steps, kind="stable")]) <= 1e-12).all()
    assert weights[0].argmax() == 0


def test_unknown_elements_stay_unknown():
    unknown = dataclasses.replace(CRYSTALS, species=np.zeros_like(CRYSTALS.species))
    changed = substituted(1.0, crystals=unknown)
    assert not changed.species.any()
    np.testing.assert_allclose(changed.lattice, CRYSTALS.lattice, atol=1e-6)
