"""From wishes and request files to crystals that have what was fixed, in every sample."""

import dataclasses
import json

import numpy as np
import pytest

from jaxcrys.core.elements import atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.core.progress import Progress
from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.crystal.primitive import num_primitive_atoms
from jaxcrys.geometry.lattice import matrix_from_coefficients
from jaxcrys.recipes.library import load_model
from jaxcrys.sampling.generate import generate
from jaxcrys.sampling.plan import Request, make_plan
from jaxcrys.sampling.request_file import read_requests
from jaxcrys.sampling.wish import Wish, check_wish
from jaxcrys.symmetry.wyckoff import position_id


@pytest.fixture(scope="module")
def model(orbit_run):
    return load_model(orbit_run)


FILE = """
- name: perovskites
  num: 3
  formula: BaTiO3
  groups: [221, 99]
- num: 2
  template: "58: 2a Mn, 4g Li, ..."
  chemical-system: [Li, Mn, O]
  atoms: 6-14
"""


class Heard(Progress):
    """Keeps what is told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_a_file_of_requests(model, tmp_path):
    (tmp_path / "asked.yaml").write_text(FILE, encoding="utf-8")
    requests = read_requests(tmp_path / "asked.yaml")
    assert [request.name for request in requests] == ["perovskites", ""]
    assert requests[1].wish == Wish(
        template="58: 2a Mn, 4g Li, ...", chemical_system="Li-Mn-O", atoms="6-14"
    )
    heard = Heard()
    rows = generate(model, tmp_path / "out", *requests, batch_size=4, progress=heard)
    assert [row["request"] for row in rows] == ["perovskites"] * 3 + ["1"] * 2
    assert {row["formula"] for row in rows[:3]} == {"BaTiO3"}
    assert {row["group"] for row in rows[:3]} <= {221, 99}
    assert {row["group"] for row in rows[3:]} == {58}
    assert all(np.isfinite(row["log_prob"]) for row in rows)
    assert [text.split(", ")[1:] for text in heard.said] == [
        ["exact formula", "drawn by orbit of this run"],
        ["new templates", "drawn by orbit of this run"],
    ]
    modes = json.loads((tmp_path / "out" / "run.json").read_text())["modes"]
    assert len(modes) == 2
    as_json = tmp_path / "asked.json"
    entries = [
        {name: value for name, value in vars(request.wish).items() if value is not None}
        | {"num": request.num, "name": request.name}
        for request in requests
    ]
    as_json.write_text(json.dumps({"requests": entries}), encoding="utf-8")
    assert read_requests(as_json) == requests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- num: 0", "request 1: num: must be a positive number"),
        ("- formula: NaCl\n- grups: 3", "request 2: has no option 'grups'"),
        ("- groups: 300", "request 1: --groups"),
        ("- 5", "request 1: must be options"),
        ("num: 3", "must hold a list of requests"),
        ("- [", "is not a readable YAML or JSON file"),
        ("- max-atoms: many", "max_atoms: must be a number"),
        ("- formula: {Na: 1}", "formula: must be text or a number"),
    ],
)
def test_bad_requests_are_named(tmp_path, text, message):
    path = tmp_path / "asked.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_requests(path)


def random_wish(random):
    """A wish that fixes a random subset, and how many."""
    wish = {}
    if random.random() < 0.4:
        chosen = random.choice([2, 12, 14, 62, 123, 166, 194, 221, 225], 3, replace=False)
        wish["groups"] = ",".join(map(str, sorted(chosen)))
    if random.random() < 0.3:
        wish["template"] = str(
            random.choice(
                [
                    "62: 4c O, ...",
                    "225: 4a Na, ...",
                    "14: 4e, ...",
                    "62: 4c, 4a Na",
                    "221: 1a, 3d, ...",
                ]
            )
        )
        wish.pop("groups", None)
    if random.random() < 0.3:
        wish["formula"] = str(random.choice(["NaO", "Na2O", "NaCl", "BaTiO3", "Al2O3"]))
        wish.pop("template", None)
    else:
        if random.random() < 0.5:
            wish["chemical_system"] = "Na-O-Cl-Ti"
            if random.random() < 0.5:
                wish["elements_required"] = str(random.choice(["Ti", "Na-O", "O"]))
        if random.random() < 0.4:
            wish["sites"] = str(random.choice(["2", "3", "2-4"]))
    if random.random() < 0.5:
        wish["atoms"] = str(random.choice(["4-20", "8", "1-12", "10-12"]))
    return Wish(**wish)


def test_whatever_is_fixed_is_kept(model):
    """Templates of random wishes; those that cannot be met are refused before anything is drawn."""
    random = np.random.default_rng(2)
    met = 0
    for seed in range(40):
        wish = random_wish(random)
        check_wish(wish)
        try:
            drawn = make_plan(model, [Request(wish, 5)], seed=seed).templates
        except InputError:
            continue
        met += 1
        for row in range(5):
            keeps(wish, take(drawn, row))
    assert met >= 25


def keeps(wish, crystal):
    """Every part of the wish, by pymatgen where it knows better."""
    from pymatgen.core import Composition

    occupied = crystal.wyckoff > 0
    species = {int(z) for z in crystal.species[occupied]}
    assert species
    assert 0 not in species
    if wish.groups:
        assert str(int(crystal.group)) in wish.groups.split(",")
    if wish.template:
        group, _, rest = wish.template.partition(":")
        assert int(crystal.group) == int(group)
        label, *element = rest.split(",")[0].split()
        assert crystal.wyckoff[0] == position_id(int(group), label)
        assert "..." in wish.template or occupied.sum() == len(rest.split(","))
        if element:
            assert crystal.species[0] == atomic_number(element[0])
    if wish.chemical_system:
        assert species <= {atomic_number(name) for name in wish.chemical_system.split("-")}
    if wish.elements_required:
        assert species >= {atomic_number(name) for name in wish.elements_required.split("-")}
    if wish.sites:
        low, _, high = wish.sites.partition("-")
        assert int(low) <= occupied.sum() <= int(high or low)
    if wish.atoms:
        low, _, high = wish.atoms.partition("-")
        assert int(low) <= int(num_primitive_atoms(crystal)) <= int(high or low)
    if wish.formula:
        free = np.random.default_rng(0).random(crystal.free.shape)
        shaped = dataclasses.replace(crystal, free=free)
        found = to_structure(shaped).composition.reduced_composition
        assert found == Composition(wish.formula).reduced_composition


def test_a_lattice_that_is_asked_for(model, tmp_path):
    wish = Wish(lattice="4,4,6,90,90,120", elements_required="O")
    generate(model, tmp_path / "out", Request(wish, 6), batch_size=4)
    crystals = load_crystals(tmp_path / "out")
    matrices = np.array([matrix_from_coefficients(k) for k in crystals.lattice])
    lengths = np.linalg.norm(matrices, axis=-1)
    np.testing.assert_allclose(lengths, [[4, 4, 6]] * 6, rtol=1e-5)
    assert ((crystals.group >= 143) & (crystals.group <= 194) | (crystals.group < 16)).all()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(groups="225", atoms="1", elements_required="Na-Cl"), "nearest number of atoms is 2"),
        (Wish(groups="227", max_atoms=1), "groups that can: 1-"),
        (Wish(formula="NaCl", groups="227", max_atoms=2), "groups that can, by smallest Z"),
        (Wish(formula="NaCl", atoms="3"), "the nearest are 2 and 4"),
        (Wish(sites="90"), "more than the"),
        (Wish(template="225: 4a, 4b", sites="3"), "--sites: is 3, the --template has 2"),
        (Wish(template="225: 4a, ...", atoms="1-3", sites="3"), "number of atoms is 4"),
        (Wish(formula="NaCl", sites="2"), "cannot be given with --formula"),
        (Wish(template="225: 4a, ...", formula="NaCl"), "needs its elements"),
        (Wish(template="225: 4a Na, ...", chemical_system="Li-O"), "Na is not in --chemical"),
        (Wish(lattice="4,4,5,90,90,90", groups="225"), "fits none of the groups"),
    ],
)
def test_impossible_wishes_name_the_nearest(model, wish, message):
    with pytest.raises(InputError, match=message):
        make_plan(model, [Request(wish, 1)], seed=0)
