"""Sets that are relaxed into a folder: what the rows say, and interruptions."""

import json

import jax
import numpy as np
import pytest
from ase.io import read

from jaxcrys.cli.main import run
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.convert import detect_group
from jaxcrys.crystal.storage import load_crystals
from jaxcrys.data.crystal_set import read_rows
from jaxcrys.data.prepare import prepare
from jaxcrys.potentials.lennard_jones import lennard_jones
from jaxcrys.relaxation import relax as relaxation
from jaxcrys.relaxation.walk import WalkSettings
from jaxcrys.sampling.relaxed import relax_set, rmsd
from tests.weights import small_file

POTENTIAL = lennard_jones(epsilon=0.3, sigma=2.2, cutoff=5.5)


@pytest.fixture(scope="module")
def crystals():
    return stack_crystals(
        [
            build_crystal(225, [(29, "a")], (3.9, 3.9, 3.9, 90, 90, 90)),
            build_crystal(194, [(12, "c")], (2.7, 2.7, 4.1, 90, 90, 120)),
            build_crystal(
                99,
                [(22, "a", (0.0,)), (22, "a", (0.41,)), (22, "b", (0.73,))],
                (3.2, 3.2, 5.1, 90, 90, 90),
            ),
            build_crystal(221, [(55, "c")], (3.4, 3.4, 3.4, 90, 90, 90)),
        ],
        capacity=3,
    )


@pytest.fixture(scope="module")
def made(crystals, tmp_path_factory):
    out = tmp_path_factory.mktemp("relaxed") / "out"
    judged = lambda crystal, energy: {"twice": 2 * energy, "e_hull": energy + 1}  # noqa: E731
    rows = relax_set(
        POTENTIAL, crystals, out, source="here", judged=judged, judge={"hull": None},
        more={"request": np.array([0, 0, 1, 1])},
    )  # fmt: skip
    return out, rows


def walked(crystal, **settings):
    (one,) = relaxation.relax(POTENTIAL, [crystal], WalkSettings(**settings))
    return one


def test_rows_say_what_became_of_each(crystals, made):
    out, rows = made
    assert [row["outcome"] for row in rows] == ["converged"] * 4
    after = load_crystals(out)
    for index, row in enumerate(rows):
        assert row["group"] == row["group_before"] == int(crystals.group[index])
        assert row["fmax"] <= WalkSettings().force
        assert row["twice"] == pytest.approx(2 * row["energy"], abs=1e-4)
        start = walked(take(crystals, index), steps=0)
        assert row["energy_before"] == pytest.approx(start.energy, abs=2e-5)
        assert row["e_hull_before"] == pytest.approx(start.energy + 1, abs=2e-5)
        assert row["e_hull_before"] >= row["e_hull"]
        assert row["request"] == index // 2
        assert row["swelling"] == pytest.approx(
            np.exp(np.sqrt(3) * (after.lattice[index, 5] - crystals.lattice[index, 5])) - 1,
            abs=1e-4,
        )
        found = detect_group(take(after, index), 1e-3)
        assert found >= int(crystals.group[index])  # a supergroup, if another
    assert rows[0]["rmsd"] == 0  # nothing is free
    assert rows[2]["rmsd"] > 0
    assert len(list((out / "cif").iterdir())) == 4


def test_a_finished_folder_is_left_alone_and_others_are_refused(crystals, made, monkeypatch):
    out, rows = made
    monkeypatch.setattr(relaxation, "walk", None)  # nothing is computed
    again = relax_set(POTENTIAL, crystals, out, source="here", judge={"hull": None})
    assert [row["energy"] for row in again] == [str(row["energy"]) for row in rows]
    with pytest.raises(InputError, match="was made otherwise"):
        relax_set(POTENTIAL, crystals, out, source="elsewhere", judge={"hull": None})


def test_an_interrupted_call_goes_on(crystals, made, tmp_path, monkeypatch):
    from jaxcrys.sampling import relaxed

    class Interrupted(Exception):
        pass

    def stops(potential, some, settings, trajectory, advance):
        def once(index, result):
            advance(index, result)
            if index == 1:
                raise Interrupted

        return relaxation.relax(potential, some, settings, trajectory=trajectory, advance=once)

    asked = []

    def counts(potential, some, settings, trajectory, advance):
        asked.append(len(some))
        return relaxation.relax(potential, some, settings, trajectory=trajectory, advance=advance)

    out = tmp_path / "out"
    monkeypatch.setattr(relaxed, "relax", stops)
    with pytest.raises(Interrupted):
        relax_set(POTENTIAL, crystals, out, source="here", trajectories=True)
    assert not out.exists()
    monkeypatch.setattr(relaxed, "relax", counts)
    rows = relax_set(POTENTIAL, crystals, out, source="here", trajectories=True)
    assert 0 < asked[0] < 4
    for row in rows:  # of those relaxed before the interruption, and of the others
        frames = read(out / "trajectories" / f"{row['id']}.extxyz", index=":")
        assert len(frames) == row["steps"] + 1
        assert str(frames[0].symbols) == str(read(out / "cif" / f"{row['id']}.cif").symbols)
        ends = [frames[i].get_potential_energy() / len(frames[i]) for i in (0, -1)]
        assert ends == pytest.approx([row["energy_before"], row["energy"]], abs=1e-5)
    assert [row["energy"] for row in rows] == pytest.approx(
        [row["energy"] for row in made[1]], abs=1e-4
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_release_says_which_group_is_left(crystals, tmp_path):
    """A square net of these spheres is a saddle; close packing is not."""
    some = take(crystals, slice(0, 2))
    rows = relax_set(POTENTIAL, some, tmp_path / "out", source="", release=True)
    assert [row["release_outcome"] for row in rows] == ["converged"] * 2
    assert [row["group_released"] for row in rows] == [225, 194]
    assert [row["group_before"] for row in rows] == [225, 194]


def test_what_cannot_be_relaxed_is_a_row_without_energies(crystals, tmp_path):
    """Beside others, with a judge that would stumble over it, and released."""
    thin = jax.tree.map(np.array, take(crystals, slice(0, 3)))
    thin.lattice[1, 5] = -40
    thin.lattice[2, 5] = np.nan

    def judged(crystal, energy):
        assert np.isfinite(energy)
        return {"twice": 2 * energy}

    rows = relax_set(
        POTENTIAL, thin, tmp_path / "out", source="", release=True, judged=judged
    )  # fmt: skip
    assert [row["outcome"] for row in rows] == ["converged", "collapsed", "collapsed"]
    assert [row["energy"] == row["twice"] == "" for row in rows] == [False, True, True]
    assert rows[0]["status"] == "ok"
    assert "lattice" in rows[2]["status"]  # no unit cell at all


def test_distances_moved_do_not_count_a_drift():
    def polar(shift):
        sites = [(22, "a", (0.0 + shift,)), (8, "a", (0.5 + shift,))]
        return build_crystal(99, sites, (4, 4, 4, 90, 90, 90))

    assert rmsd(polar(0.0), polar(0.3)) == pytest.approx(0, abs=1e-9)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.nqx"
    path.write_bytes(small_file())
    return path


@pytest.fixture(scope="module")
def dataset(made, tmp_path_factory):
    """The relaxed crystals, read again, with made-up formation energies."""
    folder = tmp_path_factory.mktemp("dataset")
    lines = ["cif,material_id,formation_energy_per_atom"]
    for number, path in enumerate(sorted((made[0] / "cif").iterdir())):
        text = path.read_text(encoding="utf-8").replace('"', "'")
        lines.append(f'"{text}",id-{number},{-0.1 * number}')
    (folder / "crystals.csv").write_text("\n".join(lines), encoding="utf-8")
    return prepare([folder / "crystals.csv"], folder / "dataset", workers=1).folder


def test_commands_make_a_hull_and_judge_by_it(weights, dataset, tmp_path, capsys):
    hull, out = tmp_path / "hull.json", tmp_path / "out"
    given = ["--potential", str(weights)]
    assert run("hull", [str(dataset), "--out", str(hull), "--labels", "none", *given]) == 0
    assert "4 entries, 4 elements" in capsys.readouterr().out
    stored = json.loads(hull.read_text(encoding="utf-8"))
    assert stored["potential"] == "small"
    assert len(stored["entries"]) == 4
    arguments = [str(dataset), "--out", str(out), "--steps", "0", "--hull", str(hull), *given]
    assert run("relax", arguments) == 0
    assert "above the hull" in capsys.readouterr().out
    for row in read_rows(out):
        assert float(row["e_hull"]) == pytest.approx(0, abs=1e-4)  # each is an entry itself
        assert row["material_id"].startswith("id-")
    other = tmp_path / "other.nqx"
    other.write_bytes(small_file().replace(b'"shift": 0.1', b'"shift": 0.2'))
    refused = [str(dataset), "--out", str(tmp_path / "no"), "--hull", str(hull)]
    assert run("relax", [*refused, "--potential", str(other)]) == 2
    assert "stands on small" in capsys.readouterr().err
    assert run("relax", [*refused, "--potential", "unheard-of"]) == 2
    assert "no name of nequix-mp-1" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_structures_of_a_formula_are_ordered_by_energy(crystals, tmp_path):
    more = {"asked": np.array(["A", "B", "A", "B"], object)}
    rows = relax_set(POTENTIAL, crystals, tmp_path / "out", source="", more=more)
    for formula in "AB":
        own = [row for row in rows if row["asked"] == formula]
        ordered = sorted(own, key=lambda row: row["energy"])
        assert [row["energy_rank"] for row in ordered] == [1, 2]


def test_what_is_generated_can_be_relaxed_at_once(generated_run, weights, tmp_path, capsys):
    out, relaxed = tmp_path / "out", tmp_path / "out" / "relaxed"
    drawn = ["--run", str(generated_run), "--num", "2", "--out", str(out)]
    assert run("generate", [*drawn, "--hull", "hull.json"]) == 2
    assert "--relax" in capsys.readouterr().err
    assert run("generate", [*drawn, "--relax", "nothing.nqx"]) == 2
    assert not out.exists()
    assert run("generate", [*drawn, "--relax", str(weights)]) == 0
    assert [row["id"] for row in read_rows(relaxed)] == [row["id"] for row in read_rows(out)]
    assert run("generate", [*drawn, "--relax", str(weights)]) == 0  # both are there already


def test_files_are_read_and_what_is_no_crystal_is_listed(made, weights, tmp_path, capsys):
    folder, out = tmp_path / "cifs", tmp_path / "out"
    folder.mkdir()
    for path in (made[0] / "cif").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.cif").write_text("data_x\n_cell_length_a banana\n", encoding="utf-8")
    arguments = [str(folder), "--out", str(out), "--steps", "0", "--potential", str(weights)]
    assert run("relax", arguments) == 0
    assert "1 record could not be used" in capsys.readouterr().err
    assert len(read_rows(out)) == 4
    assert "broken.cif" in (out / "rejected.csv").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifs", "out"]
