"""Rows of single samples: against pymatgen and spglib, and whatever cannot be a crystal."""

import numpy as np
import pytest
import spglib
from pymatgen.core import Composition, Structure

from jaxcrys.crystal.convert import structure_from_raw, to_structure
from jaxcrys.evaluation.charges import _balanced, _charges, charge_neutral
from jaxcrys.evaluation.examine import Task, examine, lost
from jaxcrys.evaluation.samples import Sample, of_crystal, read_samples
from jaxcrys.evaluation.validity import as_cell, plausible
from tests.evaluation.sets import COINCIDING, ODD, SOUND, cif, salts


@pytest.mark.parametrize("crystal", salts(), ids=lambda crystal: str(int(crystal.group)))
def test_rows_say_what_pymatgen_and_spglib_say(crystal):
    structure = to_structure(crystal)
    row = examine(Task(of_crystal(crystal, "own")))
    assert row["reason"] == ""
    assert row["formula"] == structure.composition.reduced_formula
    assert row["density"] == pytest.approx(
        structure.density, rel=1e-3
    )  # of zinc, other tables of masses
    assert row["volume_per_atom"] == pytest.approx(structure.volume / len(structure))
    assert row["primitive_atoms"] == len(structure.get_primitive_structure())
    distances = structure.distance_matrix + np.diag([min(structure.lattice.abc)] * len(structure))
    assert row["shortest_distance"] == pytest.approx(distances.min(), abs=1e-6)
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    for symprec in (0.1, 0.001):
        found = spglib.get_symmetry_dataset(cell, symprec=symprec, angle_tolerance=5)
        assert row[f"group_{symprec}"] == found.number == row["asked"]
    assert row["lemat_valid"]


def test_a_text_and_a_crystal_give_the_same_row():
    own, text = (
        examine(Task(sample))
        for sample in (of_crystal(salts()[6], "x"), Sample("x", "cif", cif(salts()[6])))
    )
    for name in ("formula", "group_0.01", "protostructure", "prototype", "valid", "sites", "dof"):
        assert own[name] == text[name]


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_crystal_has_a_reason(name):
    text, reason = ODD[name]
    row = examine(Task(Sample(name, "cif", text), fingerprints=True))
    codes = {reason, "unreadable"} if name == "nan_atom" else {reason}
    assert row["reason"] in codes
    assert row["detail"]
    assert not row.get("valid")


def test_atoms_on_each_other_are_invalid_and_not_left_out():
    row = examine(Task(Sample("near", "cif", COINCIDING), fingerprints=True))
    assert row["reason"] == ""
    assert row["shortest_distance"] == pytest.approx(0.004, abs=1e-6)
    assert not any(row[name] for name in ("structure_valid", "lemat_valid", "valid"))
    assert row["composition_valid"]


def test_a_text_of_fifty_megabytes_is_not_carried(tmp_path):
    (tmp_path / "big.cif").write_text(SOUND + "#" * 50_000_000)
    (tmp_path / "small.cif").write_text(SOUND)
    big, small = read_samples(tmp_path)
    assert big.content == f"{len(SOUND) + 50_000_000} characters"
    assert examine(Task(big))["reason"] == "too_large"
    assert examine(Task(small))["formula"] == "NaCl"


def test_a_lost_sample_stays_in_the_table():
    row = lost(Task(Sample("gone", "cif", "")))
    assert (row["name"], row["reason"]) == ("gone", "worker_died")


@pytest.mark.filterwarnings("ignore:No Pauling")
@pytest.mark.parametrize(
    ("formula", "neutral"),
    [
        (["Na", "Cl"], True), (["Cu", "Zn"], True), (["Fe", "O"], True),
        (["Na", "K", "Rb", "F"], True),  # metallic by its score
        (["F", "Cl"], True),  # as in ClF
        (["Ar", "O"], False),
    ],
)  # fmt: skip
def test_charges(formula, neutral):
    sites = np.linspace(0, 1, len(formula), endpoint=False)[:, None] * np.ones(3)
    structure = Structure(4.2 * np.eye(3), formula, sites)
    assert charge_neutral(structure) == neutral


def test_bounds_of_plausible_cells():
    cell = as_cell(salts()[0])
    assert plausible(cell)
    for factor in (0.2, 30.0):
        assert not plausible(cell._replace(lattice=factor * cell.lattice))
    assert structure_from_raw(cell).density == pytest.approx(2.16, abs=0.05)


def test_large_formulas_are_balanced_at_once():
    """As pymatgen's guesses say of small ones, without trying all combinations of large ones."""
    for formula in ("Fe3O4", "Na2S2O3", "CaTiO3", "NaCl3", "K3Cl", "NaF2", "Al2O", "LiFePO4"):
        guessed = bool(Composition(formula).oxi_state_guesses())
        assert (0 in _charges(Composition(formula))) == guessed, formula
    assert _balanced("Mn24Fe12Cu8Ti10O68S14")
    assert not _balanced("Na50K31F3")
