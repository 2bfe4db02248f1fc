"""Relaxations with a simple potential, against ASE's and what must hold at every step."""

import dataclasses

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, num_atoms, stack_crystals
from jaxcrys.crystal.convert import detect_group, to_atoms
from jaxcrys.crystal.packed import Capacity
from jaxcrys.geometry.lattice import matrix_from_coefficients, volume
from jaxcrys.potentials.ase_bridge import from_ase
from jaxcrys.potentials.host import HostPotential
from jaxcrys.potentials.lennard_jones import lennard_jones
from jaxcrys.relaxation import relax as relaxation
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import MINIMISERS, OUTCOMES, WalkSettings
from jaxcrys.symmetry.groups import lattice_mask
from jaxcrys.symmetry.subgroups import is_subgroup
from jaxcrys.symmetry.wyckoff import free_mask

POTENTIAL = lennard_jones(epsilon=0.3, sigma=2.2, cutoff=5.5)
ORACLE = LennardJones(epsilon=0.3, sigma=2.2, rc=5.5)
TIGHT = WalkSettings(force=0.002, stress=0.0005)
ROOM = Capacity(crystals=8, sites=32, images=240, edges=2400)


@pytest.fixture(scope="module")
def crystals():
    """Stretched and distorted crystals of several groups."""
    return [
        build_crystal(225, [(29, "a")], (3.9, 3.9, 3.9, 90, 90, 90)),
        build_crystal(194, [(12, "c")], (2.7, 2.7, 4.1, 90, 90, 120)),
        build_crystal(166, [(5, "c", (0.22,)), (7, "a")], (2.6, 2.6, 13.5, 90, 90, 120)),
        build_crystal(
            62, [(26, "c", (0.03, 0.21)), (6, "c", (0.88, 0.45))], (5.3, 4.2, 4.9, 90, 90, 90)
        ),
        build_crystal(14, [(14, "e", (0.15, 0.55, 0.31)), (8, "a")], (4.2, 4.6, 5.1, 90, 103, 90)),
        build_crystal(2, [(11, "i", (0.21, 0.3, 0.27)), (9, "h")], (3.4, 3.9, 4.3, 82, 95, 103)),
    ]


@pytest.fixture(scope="module")
def relaxed(crystals):
    return relax(POTENTIAL, crystals, TIGHT, room=ROOM)


def judged(crystal):
    """The atoms of a crystal with ASE's calculator."""
    atoms = to_atoms(crystal)
    atoms.calc = ORACLE
    return atoms


def test_ase_finds_no_force_and_no_stress(relaxed):
    for one in relaxed:
        atoms = judged(one.crystal)
        assert one.outcome == "converged"
        assert one.energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-5)
        assert np.linalg.norm(atoms.get_forces(), axis=1).max() < 1.1 * TIGHT.force
        assert np.abs(atoms.get_stress()).max() < 1.1 * TIGHT.stress


def test_the_full_cell_relaxes_to_the_same(crystals, relaxed):
    """With ASE's minimiser and its own constraint of symmetry."""
    for crystal, one in list(zip(crystals, relaxed, strict=True))[:2]:
        atoms = judged(crystal)
        atoms.set_constraint(FixSymmetry(atoms, symprec=1e-3))
        BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.005, steps=100)
        assert one.energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-3)


def test_close_packing_is_what_it_must_be(relaxed):
    """The cubic and the hexagonal close packing are within a few meV, with twelve neighbours."""
    cubic, hexagonal = relaxed[0], relaxed[1]
    assert cubic.energy == pytest.approx(hexagonal.energy, abs=5e-3)
    length = np.cbrt(float(volume(matrix_from_coefficients(cubic.crystal.lattice))))
    assert length / np.sqrt(2) == pytest.approx(2 ** (1 / 6) * 2.2, rel=0.04)


def test_group_and_positions_stay_exactly_what_they_are(crystals, relaxed):
    for before, after in zip(crystals, (one.crystal for one in relaxed), strict=True):
        assert after.group == before.group
        np.testing.assert_array_equal(after.wyckoff, before.wyckoff)
        np.testing.assert_array_equal(after.species, before.species)
        fixed = ~lattice_mask(before.group)
        np.testing.assert_array_equal(after.lattice[fixed], before.lattice[fixed])
        assert not after.free[~free_mask(before.wyckoff)].any()
        found = detect_group(after, 1e-3)
        assert found == before.group or is_subgroup(int(before.group), found)


@pytest.mark.parametrize("minimiser", MINIMISERS)
def test_minimisers_meet(crystals, relaxed, minimiser):
    settings = dataclasses.replace(TIGHT, minimiser=minimiser)
    for one, other in zip(relaxed, relax(POTENTIAL, crystals, settings, room=ROOM), strict=True):
        assert other.outcome == "converged"
        assert other.energy == pytest.approx(one.energy, abs=2e-4)


def test_who_else_walks_does_not_matter(crystals, relaxed):
    """Alone, in another order, in little room."""
    alone = relax(POTENTIAL, crystals[3:4], TIGHT, room=ROOM)[0]
    little = dataclasses.replace(ROOM, crystals=2)
    turned = relax(POTENTIAL, crystals[::-1], TIGHT, room=little)[::-1]
    assert alone.energy == pytest.approx(relaxed[3].energy, abs=1e-4)
    for one, other in zip(relaxed, turned, strict=True):
        assert other.energy == pytest.approx(one.energy, abs=1e-4)


def test_pressure_compresses_until_it_is_met(crystals):
    settings = dataclasses.replace(TIGHT, pressure=0.1)
    free, pressed = (relax(POTENTIAL, crystals[:1], s, room=ROOM)[0] for s in (TIGHT, settings))
    sizes = [
        float(volume(matrix_from_coefficients(one.crystal.lattice))) for one in (free, pressed)
    ]
    assert sizes[1] < 0.99 * sizes[0]
    np.testing.assert_allclose(judged(pressed.crystal).get_stress()[:3], -0.1, atol=1e-3)


def test_stragglers_walk_in_less_room(crystals, relaxed, monkeypatch):
    """The last ones on their way, in a room of another size, arrive where they would have."""
    rooms = []

    def walk(potential, packed, *rest, **settings):
        rooms.append(len(packed.receiver))
        return walking(potential, packed, *rest, **settings)

    walking = relaxation.walk
    monkeypatch.setattr(relaxation, "walk", walk)
    monkeypatch.setattr(relaxation, "STRAGGLING", 1)
    large = Capacity(crystals=8, sites=64, images=480, edges=8 * ROOM.edges)
    settings = dataclasses.replace(TIGHT, at_once=5)
    (one,) = relax(POTENTIAL, crystals[3:4], settings, room=large)
    assert one.outcome == "converged"
    assert one.energy == pytest.approx(relaxed[3].energy, abs=1e-4)
    assert (rooms[0], rooms[-1]) == (large.edges, ROOM.edges)


def test_a_fixed_cell_stays(crystals, relaxed):
    settings = dataclasses.replace(TIGHT, fixed_cell=True)
    one = relax(POTENTIAL, crystals[3:4], settings, room=ROOM)[0]
    assert one.outcome == "converged"
    np.testing.assert_allclose(one.crystal.lattice, crystals[3].lattice, atol=1e-6)
    assert np.abs(judged(one.crystal).get_forces()).max() < 1.1 * TIGHT.force
    assert one.energy > relaxed[3].energy + 1e-3


def test_calculators_of_ase_relax_as_well(crystals, relaxed):
    host = from_ase(ORACLE, name="lennard-jones")
    for one, other in zip(relaxed[2:4], relax(host, crystals[2:4], TIGHT, room=ROOM), strict=True):
        assert other.outcome == "converged"
        assert other.energy == pytest.approx(one.energy, abs=2e-4)


def test_energies_fall_along_the_path(crystals):
    one = relax(POTENTIAL, crystals[3:4], TIGHT, trajectory=True, room=ROOM)[0]
    assert len(one.path) == len(one.energies) == one.steps + 1
    np.testing.assert_allclose(one.path[0].lattice, crystals[3].lattice)
    np.testing.assert_array_equal(one.path[-1].free, one.crystal.free)
    atoms = [judged(crystal) for crystal in one.path]
    energies = [each.get_potential_energy() / len(each) for each in atoms]
    np.testing.assert_allclose(one.energies, energies, rtol=1e-5, atol=1e-4)
    assert np.diff(energies).max() < 0.02
    assert (one.energies[0], one.energies[-1]) == (one.start_energy, one.energy)


def failing(crystal):
    raise RuntimeError("no energy today")


def test_what_goes_wrong_is_a_code_and_touches_no_other(crystals, relaxed):
    copper = crystals[0]
    hydrogen = dataclasses.replace(copper, species=np.array([1]))
    thin = dataclasses.replace(copper, lattice=np.array([0, 0, 0, 0, 0, -40.0]))
    broken = dataclasses.replace(copper, lattice=np.array([0, 0, 0, 0, 0, np.nan]))
    huge = dataclasses.replace(crystals[3], lattice=crystals[3].lattice - 2.4 * np.eye(6)[5])
    knows = dataclasses.replace(POTENTIAL, elements=tuple(range(2, 119)))
    settings = dataclasses.replace(TIGHT, steps=60)
    found = relax(knows, [hydrogen, thin, copper, broken, huge], settings, room=ROOM)
    outcomes = [one.outcome for one in found]
    assert outcomes[:4] == ["unknown", "collapsed", "converged", "collapsed"]
    assert outcomes[4] in ("exploded", "steps", "not finite")
    assert found[2].energy == pytest.approx(relaxed[0].energy, abs=1e-5)
    assert np.isnan([found[i].energy for i in (0, 1, 3)]).all()
    few = relax(POTENTIAL, [copper], dataclasses.replace(TIGHT, steps=2), room=ROOM)[0]
    assert (few.outcome, few.steps) == ("steps", 2)
    assert set(outcomes) <= set(OUTCOMES)


def test_atoms_that_lie_on_each_other_are_noticed(crystals):
    """Where a potential does not keep them apart."""
    weak = lennard_jones(epsilon=0.0, sigma=2.2, cutoff=5.5)
    close = build_crystal(99, [(22, "a", (0.0,)), (8, "a", (0.02,))], (4, 4, 4, 90, 90, 90))
    found = relax(weak, [crystals[0], close], TIGHT, room=ROOM)
    assert [one.outcome for one in found] == ["converged", "fused"]


def test_a_calculator_that_fails_is_no_crash(crystals, caplog):
    moody = HostPotential(failing, name="moody", digest="")
    found = relax(moody, crystals[:2], TIGHT, room=ROOM)
    assert [one.outcome for one in found] == ["not finite"] * 2
    assert "moody failed" in caplog.text


@pytest.mark.parametrize(
    "wrong", [{"minimiser": "newton"}, {"force": 0.0}, {"steps": -1}, {"skin": -0.5}]
)
def test_senseless_settings_are_refused(crystals, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        relax(POTENTIAL, crystals[:1], WalkSettings(**wrong))


def test_nothing_to_relax_is_no_error():
    assert relax(POTENTIAL, []) == []


def test_batches_may_have_empty_slots(crystals, relaxed):
    batch = stack_crystals(crystals, capacity=5)
    one = relax(POTENTIAL, [take(batch, 3)], TIGHT, room=ROOM)[0]
    assert one.energy == pytest.approx(relaxed[3].energy, abs=1e-4)
    assert int(num_atoms(one.crystal)) == 8
    assert one.crystal.wyckoff.shape == (2,)
