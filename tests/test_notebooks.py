"""Every notebook runs from top to bottom and arrives where it should."""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from jaxcrys.symmetry import maximal_subgroups

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


def ends_with_a_subgroup(variables, printed):
    assert variables["crystal"].group == 194
    assert int(variables["lower"].group) in {r.group for r in maximal_subgroups(194)}
    assert printed.count("AB2_hP6_194_c_f:Mo-S") == 2
    assert len(plt.get_fignums()) == 3


def ends_with_a_cif(variables, printed):
    assert variables["crystal"].group == 136
    assert "_space_group_IT_number" in printed


CHECKS = {
    "01_space_groups_and_wyckoff": ends_with_a_subgroup,
    "02_asymmetric_unit": ends_with_a_cif,
}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, capsys):
    matplotlib.use("Agg")
    plt.close("all")
    variables = runpy.run_path(str(notebook))
    CHECKS[notebook.stem](variables, capsys.readouterr().out)
    plt.close("all")
