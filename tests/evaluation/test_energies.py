"""Energies of samples and of test crystals, beside what ASE says of the same cells."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.stats import wasserstein_distance

from jaxcrys.evaluation.energies import Energies
from jaxcrys.evaluation.stability import energy_distances
from jaxcrys.potentials.ase_bridge import from_ase

METALS = [("Cu", 3.6), ("Cu", 3.8), ("Al", 4.1), ("Ni", 3.4), ("Ag", 4.2)]


def cell_row(symbol, length):
    atoms = bulk(symbol, "fcc", a=length, cubic=True)
    cell = [atoms.cell.array.tolist(), atoms.get_scaled_positions().tolist(),
            atoms.numbers.tolist()]  # fmt: skip
    return {"reason": "", "cell": cell}


def by_ase(symbol, length):
    atoms = bulk(symbol, "fcc", a=length, cubic=True)
    atoms.calc = EMT()
    return atoms.get_potential_energy() / len(atoms)


def formed(crystal, energy):
    """As a hull would say it, with references of 1 eV."""
    return {"e_form": energy - 1.0, "e_hull": energy}


@pytest.fixture(scope="module")
def energies(tmp_path_factory):
    potential = from_ase(EMT(), name="EMT", digest="emt")
    return Energies(potential, formed, {}, tmp_path_factory.mktemp("work") / "key")


@pytest.fixture(scope="module")
def real(energies):
    rows = [cell_row(*metal) for metal in METALS]
    rows += [{"reason": "unreadable"}, cell_row("Fe", 3.5)]  # EMT knows no iron
    return [row | more for row, more in zip(rows, energies.as_they_are(rows), strict=True)]


def test_test_crystals_are_judged_as_they_are(real):
    for row, metal in zip(real, METALS, strict=False):
        assert row["energy_before"] == pytest.approx(by_ase(*metal), abs=2e-5)
        assert row["e_form_before"] == pytest.approx(row["energy_before"] - 1)
    assert not any("energy_before" in row for row in real[len(METALS) :])


def test_relaxing_lowers_the_energy_of_what_has_one(energies):
    rows = [cell_row("Cu", 3.7), {"reason": "no_atoms"}, cell_row("Fe", 3.5)]
    copper, nothing, iron = energies.relaxed(rows)
    assert copper["converged"]
    assert copper["energy"] < copper["energy_before"]
    assert copper["e_form_before"] == pytest.approx(by_ase("Cu", 3.7) - 1, abs=2e-5)
    assert nothing == {}
    assert not iron["converged"]


def test_distances_of_energies_are_those_of_scipy(real):
    values = np.random.default_rng(0).normal(size=9)
    rows = [{"energy": x - 0.5, "energy_before": str(x), "e_form": x} for x in values]
    rows += [{"reason": "unreadable"}]
    found = {figure.name: figure for figure in energy_distances(rows, real)}
    expected = [by_ase(*metal) for metal in METALS]
    assert set(found) == {
        "W(energy), as submitted", "W(energy), relaxed", "W(formation energy), relaxed",
    }  # fmt: skip
    for name, moved in (("W(energy), as submitted", 0), ("W(energy), relaxed", -0.5)):
        assert found[name].value == pytest.approx(
            wasserstein_distance(values + moved, expected), abs=1e-4
        )
        assert found[name].low <= found[name].value <= found[name].high
        assert found[name].count == 9


def test_without_energies_there_are_no_distances(real):
    assert energy_distances([{"reason": ""}], real) == []
    assert energy_distances([{"energy": 1.0}], [{"reason": ""}]) == []
