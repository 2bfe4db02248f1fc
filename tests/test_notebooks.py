"""Every notebook runs from top to bottom and arrives where it should."""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import spglib

from jaxcrys.crystal.convert import cell_and_labels
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


CHECKS = {
    "01_space_groups_and_wyckoff": ends_with_a_subgroup,
    "02_asymmetric_unit": comes_back_from_its_cif,
}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    plt.close("all")
    variables = runpy.run_path(str(notebook))
    CHECKS[notebook.stem](variables, capsys.readouterr().out)
    plt.close("all")
