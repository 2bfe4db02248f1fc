"""Generated sets: exact symmetry in the files, independent samples, safe interruption."""

import csv
import dataclasses
import json

import ase.io
import jax
import numpy as np
import pytest
import spglib
from pymatgen.core import Structure

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals, save_crystals
from jaxcrys.crystal.buckets import choose_shapes
from jaxcrys.evaluation import check_symmetry, distances_plausible
from jaxcrys.parallel import blocks
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling import generate as generation
from jaxcrys.sampling.draw import make_batches
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request
from jaxcrys.sampling.wish import Wish
from jaxcrys.symmetry import load_tables
from tests.crystals import random_crystals

NUM = 24


@pytest.fixture(scope="module")
def model(generated_run):
    return load_model(generated_run)


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "out"
    return folder, generate(model, folder, Request(num=NUM), seed=3, batch_size=8)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def database_operations(group):
    hall = int(load_tables().group_hall_number[group])
    found = spglib.get_symmetry_from_database(hall)
    return found["rotations"], found["translations"]


def test_all_files_are_there(made):
    folder, rows = made
    names = {p.name for p in folder.iterdir()}
    assert names == {"crystals.npz", "structures.extxyz", "cif", "table.csv", "run.json"}
    with (folder / "table.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    good = [row["id"] for row in table if row["status"] == "ok"]
    assert {p.stem for p in (folder / "cif").iterdir()} == set(good)
    assert len(ase.io.read(folder / "structures.extxyz", ":")) == len(good)
    record = json.loads((folder / "run.json").read_text())
    assert record["checkpoint"]["sha256"]
    assert record["versions"]["jax"]


@pytest.mark.filterwarnings("ignore")  # pymatgen warns of rounded coordinates
def test_every_operation_maps_the_written_atoms_onto_atoms(made):
    folder, rows = made
    for frame, row in zip(ase.io.read(folder / "structures.extxyz", ":"), rows, strict=True):
        group = int(row["group"])
        operations = database_operations(group)
        written = Structure.from_file(folder / "cif" / f"{row['id']}.cif", primitive=False)
        for lattice, frac, numbers in (
            (frame.cell.array, frame.get_scaled_positions(), frame.numbers),
            (written.lattice.matrix, written.frac_coords, np.array(written.atomic_numbers)),
        ):
            check = check_symmetry(lattice, frac, numbers, *operations)
            assert check.deviation < 1e-4
            assert check.strain < 1e-6


def test_detected_group_is_the_one_asked_or_a_supergroup(made):
    folder, rows = made
    supergroups = 0
    for frame, row in zip(ase.io.read(folder / "structures.extxyz", ":"), rows, strict=True):
        if row["group_0.001"] == row["group"]:
            continue
        supergroups += 1
        cell = (frame.cell.array, frame.get_scaled_positions(), frame.numbers)
        found = spglib.get_symmetry(cell, symprec=1e-3)
        for rotation, shift in zip(*database_operations(row["group"]), strict=True):
            same = (found["rotations"] == rotation).all((1, 2))
            turn = found["translations"][same] - shift
            assert (np.abs(turn - np.round(turn)).max(-1) < 1e-3).any()
    assert supergroups < len(rows)


def test_a_sample_depends_neither_on_the_others_nor_on_the_devices(
    model, made, tmp_path, monkeypatch
):
    generate(model, tmp_path / "fewer", Request(num=5), seed=3, batch_size=8)
    generate(model, tmp_path / "other", Request(num=5), seed=3, batch_size=16)
    monkeypatch.setattr(blocks, "working_devices", jax.devices)
    generate(model, tmp_path / "spread", Request(num=5), seed=3, batch_size=8)
    generate(model, tmp_path / "pmap", Request(num=5), seed=3, batch_size=8, strategy="pmap")
    whole = load_crystals(made[0])
    for name in ("fewer", "other", "spread", "pmap"):
        part = load_crystals(tmp_path / name)
        np.testing.assert_array_equal(part.wyckoff, whole.wyckoff[:5])
        np.testing.assert_array_equal(part.species, whole.species[:5])
        np.testing.assert_allclose(part.lattice, whole.lattice[:5], atol=1e-4)
        turn = part.free - whole.free[:5]
        np.testing.assert_allclose(turn - np.round(turn), 0, atol=1e-4)


def test_candidates_are_ranked_and_the_best_kept(given_run, tmp_path):
    """Of three candidates two are kept; the first of all is the one drawn without candidates."""
    model = load_model(given_run)
    save_crystals(tmp_path / "asked.npz", random_crystals(5, sites=2, seed=4))
    wish = Wish(templates_from=tmp_path / "asked.npz")
    asked, settings = Request(wish, 5), {"seed": 2, "batch_size": 4}
    alone = generate(model, tmp_path / "alone", asked, **settings)
    rows = generate(model, tmp_path / "ranked", asked, candidates=3, keep=2, **settings)
    everything = generate(model, tmp_path / "all", asked, candidates=3, keep=3, **settings)
    assert [row["sample"] for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    for request in range(5):
        own = [row for row in everything if row["sample"] == request]
        assert sorted(row["candidate"] for row in own) == [0, 1, 2]
        scores = [row["score"] for row in own]
        assert scores == sorted(scores, reverse=True)
        kept = [row for row in rows if row["sample"] == request]
        assert [row["candidate"] for row in kept] == [row["candidate"] for row in own[:2]]
        (first,) = (row for row in own if row["candidate"] == 0)
        assert first["formula"] == alone[request]["formula"]
        assert first["density"] == pytest.approx(alone[request]["density"], rel=1e-4)


def test_clashes_are_removed_on_request(model, tmp_path):
    """The same draws, moved apart: nothing that was plausible changes."""
    asked, settings = Request(num=24), {"seed": 3, "batch_size": 8}
    generate(model, tmp_path / "raw", asked, **settings)
    generate(model, tmp_path / "apart", asked, clash_steps=40, **settings)
    raw, apart = (load_crystals(tmp_path / name) for name in ("raw", "apart"))
    before, after = (
        np.array([distances_plausible(take(c, i)) for i in range(24)]) for c in (raw, apart)
    )
    np.testing.assert_array_equal(raw.species, apart.species)
    assert after.sum() > before.sum()
    assert after[before].all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": 0}, "--candidates: must be at least 1"),
        ({"candidates": 2, "keep": 3}, "--keep: keeps 3 of 2 candidates"),
        ({"clash_steps": -1}, "--clash-steps"),
    ],
)
def test_bad_numbers_are_named(model, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        generate(model, tmp_path / "out", Request(num=2), **changes)


def test_the_same_call_gives_the_same_bytes(model, made, tmp_path):
    generate(model, tmp_path / "again", Request(num=NUM), seed=3, batch_size=8)
    assert contents(tmp_path / "again") == contents(made[0])


def test_interrupted_call_goes_on(model, made, tmp_path, monkeypatch):
    drawn = []

    def breaks_at_second(*args, **kwargs):
        if len(drawn) == 1:
            raise KeyboardInterrupt
        drawn.append(1)
        return original(*args, **kwargs)

    original = generation.draw_batch
    monkeypatch.setattr(generation, "draw_batch", breaks_at_second)
    with pytest.raises(KeyboardInterrupt):
        generate(model, tmp_path / "out", Request(num=NUM), seed=3, batch_size=8)
    assert not (tmp_path / "out").exists()
    calls = []
    monkeypatch.setattr(
        generation, "draw_batch", lambda *a, **k: calls.append(1) or original(*a, **k)
    )
    generate(model, tmp_path / "out", Request(num=NUM), seed=3, batch_size=8)
    assert contents(tmp_path / "out") == contents(made[0])
    assert 0 < len(calls) < -(-NUM // 8) + 2
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_finished_folder_is_kept_and_others_refused(model, made):
    before = contents(made[0])
    rows = generate(model, made[0], Request(num=NUM), seed=3, batch_size=8)
    assert len(rows) == NUM
    assert contents(made[0]) == before
    with pytest.raises(InputError, match="made otherwise"):
        generate(model, made[0], Request(num=NUM), seed=4, batch_size=8)


def test_formula_and_template_are_met(model, tmp_path):
    wish = Wish(template="221: 1a, 1b, 3c", formula="BaTiO3")
    rows = generate(model, tmp_path / "out", Request(wish, 4), batch_size=8)
    assert {row["formula"] for row in rows} == {"BaTiO3"}
    assert {row["group"] for row in rows} == {221}
    assert {row["atoms"] for row in rows} == {5}


def test_template_larger_than_any_in_training(model, tmp_path):
    wish = Wish(template="225: 192l")
    (row,) = generate(model, tmp_path / "out", Request(wish, 1), batch_size=1)
    assert row["atoms"] == 192


def test_batches_cost_alike_whoever_is_in_them(model):
    """Shape and rows follow from the template alone, fewer rows of dearer crystals."""
    crystals = random_crystals(80, sites=6, seed=1)
    cost = model.config.functions.cost(model.config.settings)
    config = dataclasses.replace(
        model.config, shapes=choose_shapes(crystals, limit=5, cost=cost), sites=6
    )
    several = dataclasses.replace(model, config=config)

    def batches_of(rows):
        made = make_batches(several, take(crystals, rows), batch_size=64)
        assert all(len(batch.indices) <= batch.rows for batch in made)
        return {rows[i]: (batch.shape, batch.rows) for batch in made for i in batch.indices}

    whole, some = batches_of(np.arange(80)), batches_of(np.array([3, 17, 42, 64]))
    assert sorted(whole) == list(range(80))
    assert some == {row: whole[row] for row in some}
    costs = sorted(float(cost(s.sites, s.atoms, s.images)) for s in config.shapes)
    for shape, rows in whole.values():
        ratio = float(cost(shape.sites, shape.atoms, shape.images)) / costs[2]
        assert rows == 64 if ratio < 2 else 8 <= rows <= max(8, 128 / ratio)
    assert len({rows for _, rows in whole.values()}) > 1


def test_structure_prediction_needs_elements(given_run, tmp_path):
    given = load_model(given_run)
    with pytest.raises(InputError, match="elements given"):
        generate(given, tmp_path / "out", Request(num=2))


@pytest.mark.parametrize(("num", "batch_size"), [(0, 8), (3, 0)])
def test_counts_must_be_positive(model, tmp_path, num, batch_size):
    with pytest.raises(InputError, match="at least 1"):
        generate(model, tmp_path / "out", Request(num=num), batch_size=batch_size)


def test_other_templates_at_the_same_path_are_not_the_same_call(model, tmp_path):
    templates = tmp_path / "templates.npz"
    wish = Wish(templates_from=templates)
    save_crystals(templates, random_crystals(4, seed=7))
    generate(model, tmp_path / "out", Request(wish, 4), batch_size=8)
    save_crystals(templates, random_crystals(4, seed=8))
    with pytest.raises(InputError, match="made otherwise"):
        generate(model, tmp_path / "out", Request(wish, 4), batch_size=8)
    with pytest.raises(InputError, match="is not a dataset"):
        generate(model, tmp_path / "new", Request(Wish(templates_from=tmp_path / "absent")))
