"""Every notebook runs from top to bottom and arrives where it should."""

import runpy
import tempfile
from pathlib import Path

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import spglib

from jaxcrys.core.pytree import take
from jaxcrys.crystal.convert import cell_and_labels, detect_group, to_structure
from jaxcrys.crystal.expand import atomic_length
from jaxcrys.parallel.mesh import data_mesh
from jaxcrys.symmetry import maximal_subgroups

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


def ends_with_a_subgroup(variables, printed):
    assert variables["crystal"].group == 194
    assert int(variables["lower"].group) in {r.group for r in maximal_subgroups(194)}
    assert printed.count("AB2_hP6_194_c_f:Mo-S") == 2
    assert len(plt.get_fignums()) == 1


def comes_back_from_its_cif(variables, printed):
    assert variables["crystal"].group == variables["again"].group == 152
    assert printed.count("_space_group_symop_operation_xyz") == 1
    assert "reads the same: True" in printed
    cell = cell_and_labels(variables["moved"])[0]
    assert spglib.get_spacegroup(tuple(cell), symprec=1e-5).endswith("(152)")
    assert np.abs(variables["slopes"][0][1]).max() > 0.1


def draws_what_it_was_trained_for(variables, printed):
    losses = variables["log"].query("split == 'train'").loss
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    assert len(variables["table"]) == len(variables["drawn"].group) == 64
    assert "as asked for: 100%" in printed or "as asked for: 9" in printed


def relaxes_and_ranks_alloys(variables, printed):
    table = variables["table"]
    assert "knows no elements" in printed
    assert set(table.formula[-2:]) == {"Al", "Ni"}
    assert (table.energy <= table.energy_before).all()
    assert (table.group == variables["everything"].group).all()
    assert table.above_hull.min() == pytest.approx(0, abs=1e-6)


def predicts_a_perovskite(variables, printed):
    table = variables["table"]
    assert set(table.formula) == {"BaTiO3"}
    assert {"Pm-3m"} <= set(table.symbol[:4])
    peaks = variables["patterns"][table.symbol.tolist().index("Pm-3m")]
    assert np.degrees(2 * np.arcsin(1.5418 / 2 / 2.83)) == pytest.approx(
        peaks.x[np.argmax(peaks.y)], abs=2
    )


def fits_the_distances_of_rutile(variables, printed):
    fitted = to_structure(variables["fitted"])
    assert fitted.lattice.abc == pytest.approx((4.594, 4.594, 2.959), abs=0.002)
    assert fitted.get_distance(0, 2) == pytest.approx(
        to_structure(variables["truth"]).get_distance(0, 2), abs=0.002
    )
    assert "go their own way: 1\n" in printed
    assert "after pull_back: 136" in printed
    titanium, oxygen = np.asarray(variables["output"].vectors[0])
    np.testing.assert_allclose(titanium, 0, atol=1e-5)
    assert oxygen[0] == pytest.approx(oxygen[1], rel=1e-4)
    assert abs(oxygen[0]) > 1e-3
    np.testing.assert_allclose(variables["last"], 0.9, atol=0.03)


def learns_with_a_recipe_of_its_own(variables, printed):
    real, sets = variables["volumes"], variables["sets"]
    error = {
        name: np.median(np.abs(np.log(np.asarray(atomic_length(drawn)) ** 3 / real)))
        for name, drawn in sets.items()
    }
    assert error["trained"] < 0.3 < error["untrained"]
    assert printed.count("groups kept: True") == 2
    assert detect_group(take(sets["trained"], 0), 0.001) == variables["held"].group[0]


CHECKS = {
    "01_space_groups_and_wyckoff": ends_with_a_subgroup,
    "02_asymmetric_unit": comes_back_from_its_cif,
    "03_train_a_generator": draws_what_it_was_trained_for,
    "04_generate_and_relax": relaxes_and_ranks_alloys,
    "05_predict_a_structure": predicts_a_perovskite,
    "07_a_new_recipe": learns_with_a_recipe_of_its_own,
    "06_layers_in_your_own_code": fits_the_distances_of_rutile,
}


SLOW = ("03_train_a_generator", "04_generate_and_relax", "07_a_new_recipe")
"""Those that take long on the many devices of the tests."""

CASES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW))
    for path in NOTEBOOKS
]


@pytest.mark.parametrize("notebook", CASES)
def test_notebook_runs(notebook, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("jaxcrys.recipes.base._REGISTERED", {})
    one = data_mesh(jax.devices()[:1])  # as on a user's machine; eight of them are slow
    monkeypatch.setattr("jaxcrys.training.loop.data_mesh", lambda devices: one)
    monkeypatch.setenv("JAXCRYS_POTENTIAL", "none.nqx")  # nothing is fetched
    matplotlib.use("Agg")
    plt.close("all")
    variables = runpy.run_path(str(notebook))
    CHECKS[notebook.stem](variables, capsys.readouterr().out)
    plt.close("all")
