"""Which columns of a table are shown, and as what."""

from jaxcrys.view.table import LARGEST, make_table

OWN = [
    {"formula": "NaCl", "group": 225, "atoms": 8, "density": 2.1636},
    {"formula": "CsCl", "group": 221, "atoms": 2, "density": 4.0},
    {"group": 1},
]


def table(*columns, own=OWN):
    """The table of rows with such columns, given as name and values."""
    rows = [
        {"id": f"{index:05d}"} | {name: values[index] for name, values in columns}
        for index in range(len(own))
    ]
    return make_table(own, rows)


def column(made, name):
    place = [each.name for each in made.columns].index(name)
    return made.columns[place].kind, [row[place] for row in made.rows]


def test_own_columns_come_first_and_what_is_chosen_by_next():
    made = table(("other", "123"), ("e_hull", ["0.5", "", "nan"]), ("density", ["2.1636", "4", ""]))
    assert [each.name for each in made.columns] == [
        "id", "formula", "group", "atoms", "e_hull", "density", "other",
    ]  # fmt: skip
    assert column(made, "e_hull") == ("number", [0.5, None, None])
    assert made.columns[4].unit == "eV/atom"
    assert column(made, "id") == ("text", ["00000", "00001", "00002"])
    assert column(made, "atoms") == ("number", [8, 2, None])


def test_columns_that_say_nothing_are_left_out_and_named():
    made = table(
        ("seed", ["7", "7", "7"]), ("empty", ["", "", ""]), ("group_0.1", ["225", "221", "1"]),
        ("group_0.01", ["225", "221", "2"]), ("group", ["225", "221", "1"]),
    )  # fmt: skip
    assert made.constant == {"seed": "7"}
    assert made.same == ["group_0.1"]
    assert [each.name for each in made.columns][-1] == "group_0.01"
    assert "empty" not in [each.name for each in made.columns]


def test_a_column_that_differs_from_ours_stays_beside_it():
    made = table(("formula", ["NaCl", "KCl", ""]), ("atoms", ["8", "3", ""]))
    assert column(made, "formula (table)") == ("text", ["NaCl", "KCl", None])
    assert column(made, "atoms (table)") == ("number", [8, 3, None])
    assert column(made, "formula") == ("formula", ["NaCl", "CsCl", None])


def test_kinds_of_columns():
    made = table(
        ("mixed", ["1", "x", ""]), ("truth", ["True", "False", ""]), ("large", ["1e400", "2", "3"]),
        ("whole", [str(2 * LARGEST), "2", "3"]), ("apart", ["1_0", "2", "3"]),
        ("wyckoff", ["1", "2", "3"]), ("missing", ["NA", "2.50", "3"]),
    )  # fmt: skip
    for name in ("mixed", "truth", "large", "whole", "apart", "wyckoff"):
        assert column(made, name)[0] == "text", name
    assert column(made, "missing") == ("number", [None, 2.5, 3])


def test_gaps_of_our_columns_are_filled_from_the_table():
    made = table(("formula", ["NaCl", "CsCl", "KCl"]), ("wyckoff", ["1", "2", "3"]))
    assert column(made, "formula") == ("formula", ["NaCl", "CsCl", "KCl"])
    assert column(made, "wyckoff") == ("text", ["1", "2", "3"])


def test_sodium_nitride_is_a_formula():
    made = make_table([{"formula": "NaN", "group": 1}], [{"id": "nan", "formula": "NaN"}])
    assert made.rows == [["nan", "NaN", 1]]


def test_a_single_crystal_keeps_all_its_columns():
    made = table(("seed", ["7"]), own=OWN[:1])
    assert column(made, "seed") == ("number", [7])
    assert made.constant == {}
