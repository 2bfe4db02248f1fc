"""Hulls against pymatgen's phase diagrams, and hulls that come from elsewhere."""

import json

import numpy as np
import pytest
from monty.serialization import dumpfn
from pymatgen.analysis.phase_diagram import PatchedPhaseDiagram, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from jaxcrys.core.elements import SYMBOLS, atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.stability.hull import Scale, above_hull, load_hull, make_hull, save_hull
from jaxcrys.stability.judge import make_judge
from jaxcrys.stability.references import fit_references, formation_energy, shares
from jaxcrys.stability.sources import hull_of_energies, hull_of_entries
from tests.crystals import random_crystal

SCALE = Scale("some", "abc", "none")
ELEMENTS = ("Li", "O", "P", "Fe")


def of(formula):
    amounts = Composition(formula).fractional_composition.get_el_amt_dict()
    return {atomic_number(symbol): share for symbol, share in amounts.items()}


@pytest.fixture(scope="module")
def entries():
    """Entries of random compositions and energies, some of them far above the hull."""
    random = np.random.default_rng(0)
    found = [ComputedEntry(symbol, 0.0, entry_id=symbol) for symbol in ELEMENTS]
    for number in range(60):
        counts = random.integers(0, 4, len(ELEMENTS))
        if not counts.any():
            continue
        name = "".join(f"{s}{n}" for s, n in zip(ELEMENTS, counts, strict=True) if n)
        energy = random.normal(-1, 0.7) * counts.sum()
        found.append(ComputedEntry(name, energy, entry_id=f"{name}-{number}"))
    return found


@pytest.fixture(scope="module")
def hull(entries):
    rows = [(e.entry_id, of(e.composition.formula), e.energy_per_atom) for e in entries]
    return make_hull(SCALE, "random", {atomic_number(s): 0.0 for s in ELEMENTS}, rows)


def test_distances_and_products_are_those_of_pymatgen(entries, hull):
    diagram = PhaseDiagram(entries)
    for entry in entries:
        products, distance = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True)
        found = above_hull(hull, of(entry.composition.formula), entry.energy_per_atom)
        assert found.energy == pytest.approx(distance, abs=1e-6)
        mixture = {e.composition.reduced_formula: share for e, share in products.items()}
        mine = {}
        for name, share in found.products.items():
            text = Composition(name.split("-")[0]).reduced_formula
            mine[text] = mine.get(text, 0) + share
        assert mine == pytest.approx(mixture, abs=1e-5)


def test_below_the_hull_is_negative(hull):
    composition = of("Li2O")
    level = above_hull(hull, composition, 0.0).energy
    assert above_hull(hull, composition, -level - 0.3).energy == pytest.approx(-0.3)


def test_missing_elements_are_named_and_nothing_else_is_lost(hull):
    found = above_hull(hull, of("LiXe"), -1.0)
    assert np.isnan(found.energy)
    assert found.missing == ("Xe",)
    judge = make_judge(SCALE, hull)
    crystal = random_crystal(np.random.default_rng(0), group=225)
    crystal.species[crystal.wyckoff > 0] = 54
    columns = judge.columns(crystal, -1.0)
    assert columns["e_hull"] == ""
    assert columns["missing_elements"] == "Xe"


def _entries(hull):
    for name, row, energy in zip(hull.names, hull.compositions, hull.energies, strict=True):
        yield name, {int(z): row[z] for z in np.flatnonzero(row)}, energy


def test_files_hold_all_of_it(hull, tmp_path):
    path = tmp_path / "hull.json"
    save_hull(path, hull)
    again = load_hull(path)
    assert (again.scale, again.source, again.names) == (hull.scale, hull.source, hull.names)
    np.testing.assert_allclose(again.compositions, hull.compositions, atol=1e-12)
    np.testing.assert_array_equal(again.energies, hull.energies)
    path.write_text(path.read_text(encoding="utf-8")[:-200], encoding="utf-8")
    with pytest.raises(InputError, match="is not a hull"):
        load_hull(path)
    with pytest.raises(InputError, match=r"absent\.json"):
        load_hull(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("source"),
        lambda stored: stored["entries"][0].update(formation_energy_per_atom=float("nan")),
        lambda stored: stored["entries"][0].update(formation_energy_per_atom=10**400),
        lambda stored: stored["entries"][0].update(composition=[1]),
        lambda stored: stored.update(references={"Qq": 1.0}),
    ],
)
def test_damaged_files_are_named(hull, tmp_path, change):
    save_hull(tmp_path / "hull.json", hull)
    stored = json.loads((tmp_path / "hull.json").read_text(encoding="utf-8"))
    change(stored)
    (tmp_path / "hull.json").write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(InputError, match=r"hull\.json: is not a hull"):
        load_hull(tmp_path / "hull.json")


def test_other_energies_are_refused_unless_asked_for(hull):
    other = Scale("other", "def", "none")
    with pytest.raises(InputError, match=r"stands on some .* other"):
        make_judge(other, hull)
    assert make_judge(other, hull, allow_other=True).hull is hull
    with pytest.raises(InputError, match="--corrections"):
        make_judge(Scale("some", "abc", "MP1999"), None)


@pytest.mark.parametrize("kind", ["entries", "diagram", "patched"])
def test_entries_of_pymatgen_are_read(entries, hull, tmp_path, kind):
    stored = {"entries": lambda x: x, "diagram": PhaseDiagram, "patched": PatchedPhaseDiagram}
    dumpfn(stored[kind](entries), tmp_path / "entries.json.gz")
    found = hull_of_entries(tmp_path / "entries.json.gz")
    for _, row, energy in _entries(hull):
        formed = formation_energy(row, energy, found.references)
        assert above_hull(found, row, formed).energy == pytest.approx(
            above_hull(hull, row, energy).energy, abs=1e-6
        )


def test_other_json_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="holds no entries of pymatgen"):
        hull_of_entries(path)


def test_energies_of_crystals_make_a_hull_without_references():
    random = np.random.default_rng(3)
    crystals = [random_crystal(random, group=225, sites=2) for _ in range(6)]
    for crystal, number in zip(crystals[:2], (3, 8), strict=True):
        crystal.species[crystal.wyckoff > 0] = number
    energies = np.array([-2.0, -5.0, -4.0, -4.1, -3.9, -4.2])
    hull = hull_of_energies(crystals, list("abcdef"), energies, scale=SCALE, source="")
    assert (hull.references[3], hull.references[8]) == (-2.0, -5.0)
    assert {"Li", "O"} <= {SYMBOLS[z] for z in hull.elements}
    assert formation_energy(shares(crystals[0]), -1.5, hull.references) == pytest.approx(0.5)


def test_references_are_found_through_noise_and_outliers():
    random = np.random.default_rng(1)
    true = dict(zip((3, 8, 15, 26), (-1.9, -4.9, -5.4, -8.3), strict=True))
    rows = [dict(zip(true, random.dirichlet(np.ones(4)), strict=True)) for _ in range(300)]
    formation = random.normal(-1, 0.5, 300)
    energies = formation + [sum(x * true[z] for z, x in row.items()) for row in rows]
    energies += random.normal(0, 0.02, 300)
    energies[:5] += 30
    energies[5] = np.nan
    found = fit_references(rows, energies, formation)
    assert found == pytest.approx(true, abs=0.02)
    with pytest.raises(InputError, match="no crystal has"):
        fit_references(rows, np.full(300, np.nan), formation)
    rare = fit_references([*rows, {54: 1.0}], np.append(energies, 0), np.append(formation, 0))
    assert rare.keys() == true.keys()
