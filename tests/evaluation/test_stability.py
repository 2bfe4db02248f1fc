"""Stable, unique and novel: counted by hand."""

import numpy as np
import pytest

from jaxcrys.evaluation.figures import NEW, VALIDITY, breakdown, newness, number_of, symmetry
from jaxcrys.evaluation.stability import stability


def row(before, after, *, new=True, group=225, released=225, **more):
    return {
        "e_hull_before": before, "e_hull": after, "unique_novel": new, "group_0.1": group,
        "group_before": group, "group_released": released, "rmsd": 0.1, "converged": True,
        "reason": "",
    } | more  # fmt: skip


ROWS = [
    row(0.5, -0.01),
    row("0.3", "0.05"),  # as tables are read
    row(0.05, 0.0, group=1, released=1),
    row(-0.1, -0.1, new=False),
    row(0.2, 0.09, released=1),
    row("", "", converged=False, rmsd="", group_released=""),
    {"reason": "unreadable", "group_0.1": 0},
    row(1.0, 0.6),
]


@pytest.fixture(scope="module")
def found():
    return {figure.name: figure for figure in stability(ROWS)}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("stable at 0.0 eV/atom, as submitted", 1), ("stable at 0.0 eV/atom, relaxed", 3),
        ("stable at 0.08 eV/atom, relaxed", 4), ("stable at 0.1 eV/atom, relaxed", 5),
        ("S.U.N. at 0.0 eV/atom, relaxed", 2), ("S.S.U.N. at 0.0 eV/atom, relaxed", 1),
        ("S.U.N. at 0.1 eV/atom, relaxed", 4), ("S.S.U.N. at 0.1 eV/atom, relaxed", 3),
        ("M.S.U.N., relaxed", 2), ("M.S.U.N., as submitted", 1), ("converged", 6),
    ],
)  # fmt: skip
def test_shares_are_of_all_that_was_submitted(found, name, count):
    assert found[name].count == len(ROWS)
    assert found[name].value == pytest.approx(count / len(ROWS))
    assert found[name].low <= found[name].value <= found[name].high


def test_means_are_of_those_that_have_an_energy(found):
    figure = found["median e_hull, relaxed"]
    assert (figure.value, figure.count) == (pytest.approx(0.025), 6)
    assert found["RMSD, Å"].count == 6
    assert found["group kept"].value == pytest.approx(5 / 6)


def test_no_energies_leave_no_numbers():
    empty = {figure.name: figure for figure in stability([row("", "", rmsd="")])}
    assert np.isnan(empty["median e_hull, relaxed"].value)
    assert empty["S.U.N. at 0.1 eV/atom, relaxed"].value == 0


def test_groups_asked_for_are_compared_with_those_found():
    rows = [
        {"reason": "", "asked": 221, "group_0.1": 225, "group_0.01": 221, "group_0.001": 1},
        {"reason": "", "asked": 1, "group_0.1": 1, "group_0.01": 1, "group_0.001": 1},
        {"reason": "unreadable", "asked": 62},
        {"reason": "", "asked": 0, "group_0.1": 2, "group_0.01": 2, "group_0.001": 2},
    ]
    found = {figure.name: figure for figure in symmetry(rows)}
    assert found["P1 at 0.1 Å"].value == 1 / 4
    assert [found[f"as asked at {s} Å"].value for s in (0.1, 0.01, 0.001)] == pytest.approx(
        [1 / 3, 2 / 3, 1 / 3]
    )
    assert found["as asked or more at 0.1 Å"].value == pytest.approx(2 / 3)
    assert found["as asked at 0.1 Å"].count == 3


def test_sections_hold_every_column_once():
    plain = dict.fromkeys((*VALIDITY, *NEW), True) | {"prototype": "x"}
    rows = [plain | {"reason": ""}, {"reason": "unreadable", "unique": False, "novel": False}]
    names = [figure.name for figure in newness(rows)]
    assert len(set(names)) == len(names)
    assert set(NEW) <= set(names)


def test_breakdowns_cover_all_readable_samples():
    rows = [
        {"reason": "", "primitive_atoms": n, "group_0.1": g, "valid": v}
        for n, g, v in ((2, 225, True), (4, 62, False), (40, 1, True), (9, 0, True))
    ] + [{"reason": "no_atoms"}]
    found = breakdown(rows)
    assert sum(f.count for f in found if "atoms" in f.section) == 4
    assert {f.name: f.value for f in found if "system" in f.section} == {
        "cubic": 1.0, "orthorhombic": 0.0, "triclinic": 1.0,
    }  # fmt: skip


def test_what_is_no_number_is_none():
    assert np.isnan([number_of(None), number_of(""), number_of("x")]).all()
