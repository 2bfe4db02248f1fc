"""Learning a column of a dataset, and judging crystals by it, through the command line."""

import csv
import json

import numpy as np
import pytest

from jaxcrys.cli.main import run
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.primitive import num_primitive_atoms

TRAINING = (
    "--preset", "tiny", "--steps", "50", "--batch-size", "16", "--checkpoint-every", "25",
    "--log-every", "25", "--max-shapes", "1", "--warmup-steps", "5",
)  # fmt: skip
NETWORK = {"layers": 1, "channels": 16, "heads": 2, "neighbours": 8, "radial": 4, "reach": 1}
SMALL = {"members": 2, "network": NETWORK}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fit")


@pytest.fixture(scope="module")
def dataset(folder, prototype_rows):
    """Small prototypes, with the logarithm of their volume for each atom as a column."""
    with (folder / "some.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(prototype_rows[:80])
    assert run("prepare", [f"{folder}/some.csv", "--out", f"{folder}/first", "--workers", "1"]) == 0
    crystals = load_crystals(folder / "first")
    packing = np.sqrt(3) * crystals.lattice[:, 5] - np.log(num_atoms(crystals))
    ids = [row["id"] for row in read(folder / "first" / "table.csv")]
    known = dict(zip(ids, packing, strict=True))
    with (folder / "labelled.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*prototype_rows[0], "packing"])
        writer.writerows([*row, known.get(row[0], "")] for row in prototype_rows[1:80])
    made = folder / "dataset"
    command = [f"{folder}/labelled.csv", "--out", str(made), "--workers", "1"]
    assert run("prepare", [*command, "--max-atoms", "60"]) == 0
    assert num_primitive_atoms(load_crystals(made)).max() <= 60
    return made


@pytest.fixture(scope="module")
def fitted(dataset, folder):
    out = folder / "run"
    command = [str(dataset), "--target", "packing", "--test", str(dataset), "--out", str(out)]
    assert run("fit", [*command, *TRAINING, "--settings", json.dumps(SMALL)]) == 0
    return out


def read(path):
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_it_learns_more_than_the_mean(fitted):
    figures = json.loads((fitted / "test.json").read_text())["packing"]
    assert figures["mae"] < 0.8 * figures["baseline"]
    rows = read(fitted / "test.csv")
    off = [abs(float(row["packing"]) - float(row["estimated_packing"])) for row in rows]
    assert figures["mae"] == pytest.approx(np.mean(off), rel=1e-4)
    assert figures["count"] == len(rows)


def test_likeliest_crystals_come_first(fitted, dataset, folder):
    out = folder / "judged"
    command = [str(dataset), "--run", str(fitted), "--want", "packing=2:2.5", "--keep", "9"]
    assert run("estimate", [*command, "--out", str(out)]) == 0
    rows = read(out / "table.csv")
    likely = [float(row["probability_wanted"]) for row in rows]
    assert likely == sorted(likely, reverse=True)
    assert len(rows) == len(list((out / "cif").iterdir())) == 9
    crystals = load_crystals(out)
    assert [int(row["group"]) for row in rows] == crystals.group.tolist()
    assert {row["known_elements"] for row in rows} == {"True"}


def test_files_are_judged_as_the_set_that_they_make(fitted, folder):
    table, out = folder / "mixed.csv", folder / "of_files"
    with (folder / "some.csv").open(encoding="utf-8", newline="") as handle:
        header, *known = csv.reader(handle)
    with table.open("w", encoding="utf-8", newline="") as handle:
        handle.writelines(["id,cif\n", "broken,nothing\n"])
        csv.writer(handle).writerows([row[0], row[header.index("cif")]] for row in known)
    assert run("estimate", [str(table), "--run", str(fitted), "--out", str(out)]) == 0
    assert [row["id"] for row in read(out / "rejected.csv")] == ["broken"]
    same = [str(folder / "first"), "--run", str(fitted), "--out", str(folder / "of_set")]
    assert run("estimate", same) == 0
    names = ("id", "estimated_packing", "estimated_packing_spread")
    ours, theirs = (
        [tuple(row[name] for name in names) for row in read(each / "table.csv")]
        for each in (out, folder / "of_set")
    )
    assert ours == theirs
    assert not list(folder.glob(".*.prepared"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["fit", "{data}", "--target", "gap", "--out", "{new}"], "no numbers under 'gap'"),
        (["estimate", "{data}", "--run", "orbit-1", "--out", "{new}"], "estimates no numbers"),
        (["estimate", "{data}", "--run", "{run}", "--out", "{run}"], "exists"),
        (["estimate", "none", "--run", "{run}", "--out", "{new}"], "does not exist"),
        (["estimate", "{data}", "--run", "{run}", "--keep", "3", "--out", "{new}"], "--want"),
        (
            ["estimate", "{data}", "--run", "{run}", "--want", "gap=1", "--out", "{new}"],
            "does not estimate 'gap'; it knows packing",
        ),
        (
            ["generate", "--property-guidance", "{run}", "--out", "{new}"],
            "goes with --toward",
        ),
    ],
)
def test_bad_input_is_named(fitted, dataset, tmp_path, capsys, command, message):
    places = {"data": dataset, "run": fitted, "new": tmp_path / "new"}
    assert run(command[0], [part.format(**places) for part in command[1:]]) == 2
    assert message in capsys.readouterr().err
