"""Sampling guided by energy: lower in energy, in the same templates, exact."""

import dataclasses
import json

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.io import read

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.convert import detect_group
from jaxcrys.potentials.lennard_jones import lennard_jones
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.energy_guide import EnergyGuide
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry.subgroups import is_subgroup

NUMBERS = {"epsilon": 0.3, "sigma": 2.0}
POTENTIAL = lennard_jones(**NUMBERS, cutoff=5.0)
ASKED = Request(Wish(max_atoms=10), num=8)


@pytest.fixture(scope="module")
def model(orbit_run):
    return load_model(orbit_run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("guided")


@pytest.fixture(scope="module")
def plain(model, folder):
    generate(model, folder / "plain", ASKED, seed=1, batch_size=8)
    return folder / "plain"


@pytest.fixture(scope="module")
def guided(model, folder):
    guide = EnergyGuide(POTENTIAL)
    generate(model, folder / "guided", ASKED, seed=1, batch_size=8, guide=guide)
    return folder / "guided"


def energies(folder):
    """Of each crystal, by ASE, eV per atom."""
    found = []
    for atoms in read(folder / "structures.extxyz", ":"):
        atoms.calc = LennardJones(**NUMBERS, rc=5.0)
        found.append(atoms.get_potential_energy() / len(atoms))
    return np.array(found)


def test_energies_are_lower_in_the_same_templates(plain, guided):
    before, after = load_crystals(plain), load_crystals(guided)
    for name in ("group", "wyckoff", "species"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    high, low = energies(plain), energies(guided)
    assert (low <= high).mean() > 0.8
    assert np.median(low) < np.median(high) - 0.05


def test_symmetry_stays_exact(guided):
    crystals = load_crystals(guided)
    for index, asked in enumerate(crystals.group):
        found = detect_group(take(crystals, index), 1e-3)
        assert found == asked or is_subgroup(int(asked), found)


def test_records_name_the_potential(guided):
    record = json.loads((guided / "run.json").read_text())
    assert record["guide"] == {
        "potential": {"name": POTENTIAL.name, "sha256": POTENTIAL.digest},
        "relaxation_steps": 2,
        "since": 0.6,
    }


def test_what_has_no_energy_is_drawn_as_without_guidance(model, plain, tmp_path):
    knows_nothing = EnergyGuide(dataclasses.replace(POTENTIAL, elements=()))
    generate(model, tmp_path / "out", ASKED, seed=1, batch_size=8, guide=knows_nothing)
    before, after = load_crystals(plain), load_crystals(tmp_path / "out")
    np.testing.assert_allclose(after.lattice, before.lattice, atol=1e-4)
    apart = after.free - before.free
    np.testing.assert_allclose(apart - np.round(apart), 0, atol=1e-3)


def test_a_sample_does_not_depend_on_the_others(model, guided, tmp_path):
    few = Request(ASKED.wish, num=3)
    generate(model, tmp_path / "few", few, seed=1, batch_size=8, guide=EnergyGuide(POTENTIAL))
    np.testing.assert_allclose(energies(tmp_path / "few"), energies(guided)[:3], rtol=1e-3)


def test_a_given_lattice_is_kept(model, tmp_path):
    wish = Wish(template="221: 1a Na, 1b Cl", lattice="3.4,3.4,3.4,90,90,90")
    guide = EnergyGuide(POTENTIAL, relaxation_steps=1, since=0.0)
    generate(model, tmp_path / "out", Request(wish, num=1), guide=guide)
    (atoms,) = read(tmp_path / "out" / "structures.extxyz", ":")
    np.testing.assert_allclose(atoms.cell.lengths(), 3.4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"since": 1.0}, "--guided-since"), ({"relaxation_steps": 0}, "relaxation steps")],
)
def test_senseless_guides_are_refused(model, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        generate(model, tmp_path / "out", ASKED, guide=EnergyGuide(POTENTIAL, **changes))


def test_recipes_without_a_goal_are_refused(given_run, tmp_path):
    guide = EnergyGuide(POTENTIAL)
    with pytest.raises(InputError, match="heads for no crystal"):
        generate(load_model(given_run), tmp_path / "out", ASKED, guide=guide)
