"""The text that a user reads after generating."""

from jaxcrys.sampling.summary import summary

ROW = {
    "status": "ok", "id": "0001", "formula": "NaCl", "atoms": 8, "dof": 0, "wyckoff": "Na@4a Cl@4b",
    "shortest_distance": 2.82, "density": 2.16,
}  # fmt: skip


def row(asked: int, coarse: int, fine: int) -> dict:
    return ROW | {"group": asked, "group_0.1": coarse, "group_0.01": fine, "group_0.001": fine}


def test_counts_what_was_asked_and_accidental_supergroups():
    """Pm-3m is a supergroup of P4mm; P-1 is none; 0 stands for no group found."""
    rows = [row(99, 221, 99), row(99, 2, 99), row(99, 0, 99), row(225, 225, 225)]
    bad = ROW | {"status": "lattice: has no volume", "group": 1}
    lines = summary([*rows, bad]).splitlines()
    assert "4 of 5 have a unit cell" in lines
    assert lines[-3].endswith("symprec 0.1: 1 of 4, a supergroup in 1")
    assert lines[-2].endswith("symprec 0.01: 4 of 4")


def test_long_tables_are_cut():
    lines = summary([row(225, 225, 225)] * 40, limit=3).splitlines()
    assert "… and 37 more" in lines
    assert sum("Na@4a" in line for line in lines) == 3
