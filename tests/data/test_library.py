"""Templates against pymatgen's prototypes, label against label, and counted by hand."""

import itertools
import math
import warnings
from collections import Counter

import jax
import numpy as np
import pytest

from jaxcrys.core.elements import anonymous_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, build_crystal, example_crystal, stack_crystals
from jaxcrys.crystal.convert import from_arrays, to_structure
from jaxcrys.crystal.describe import formula, species_counts
from jaxcrys.crystal.equivalents import redescribe
from jaxcrys.crystal.protostructure import protostructure_label, prototype_label
from jaxcrys.data.library import (
    build_library,
    load_library,
    merge,
    rows_with_formula,
    save_library,
    tabulate,
)
from jaxcrys.data.parsing import parse
from jaxcrys.data.template import make_template, placement, template_of
from jaxcrys.symmetry.normalisers import num_descriptions
from jaxcrys.symmetry.wyckoff import degrees_of_freedom, multiplicity, position_label
from tests.crystals import random_crystal, random_crystals, random_parameters

RUTILE = build_crystal(136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90))
PEROVSKITE = build_crystal(221, [(20, "a"), (22, "b"), (8, "c")], (3.9, 3.9, 3.9, 90, 90, 90))


def quartz(group: int) -> Crystal:
    oxygen = {152: (0.41, 0.27, 0.12), 154: (0.41, 0.14, 0.21)}[group]
    sites = [(14, "a", (0.47,)), (8, "c", oxygen)]
    return build_crystal(group, sites, (4.91, 4.91, 5.4, 90, 90, 120))


def mixed() -> Crystal:
    """Two copies of rock salt in its two descriptions, and others."""
    salt = example_crystal()
    turned = redescribe(salt, np.array(1))
    return stack_crystals([RUTILE, salt, PEROVSKITE, turned, quartz(152), quartz(154)])


@pytest.fixture(scope="module")
def crystals() -> Crystal:
    return random_crystals(250, sites=4, seed=3)


def test_templates_of_known_crystals():
    library = build_library(mixed())
    assert [(t.label, t.members.tolist()) for t in library.templates] == [
        ("AB2_hP9_152_a_c", [4, 5]),
        ("AB_cF8_225_a_b", [1, 3]),
        ("AB2_tP6_136_a_f", [0]),
        ("ABC3_cP5_221_a_b_c", [2]),
    ]
    assert library.by_label["ABC3_cP5_221_a_b_c"].elements.tolist() == [[20, 22, 8]]
    assert library.by_label["AB_cF8_225_a_b"].elements.tolist()[0] in ([11, 17], [17, 11])
    assert library.size == 6


def test_mirror_images_are_told_apart_on_demand():
    library = build_library(mixed(), mirror=False)
    assert {t.label: t.count for t in library.templates if t.group in (152, 154)} == {
        "AB2_hP9_152_a_c": 1,
        "AB2_hP9_154_a_c": 1,
    }


def test_counts_are_those_of_the_labels(crystals):
    library = build_library(crystals)
    labels = [prototype_label(take(crystals, row)) for row in range(len(crystals.group))]
    assert {t.label: t.count for t in library.templates} == dict(Counter(labels))
    for template in library.templates:
        assert [row for row, label in enumerate(labels) if label == template.label] == (
            template.members.tolist()
        )
    counts = [template.count for template in library.templates]
    assert counts == sorted(counts, reverse=True)


def test_elements_stand_on_positions_of_their_amount(crystals):
    for template in build_library(crystals).templates:
        amounts = [int(multiplicity(np.array(ids)).sum()) for ids in template.sites]
        assert amounts == sorted(amounts)
        assert anonymous_formula(sorted(amounts)) == template.formula
        for row, elements in zip(template.members, template.elements, strict=True):
            expected = species_counts(take(crystals, int(row)))
            assert dict(zip(elements.tolist(), amounts, strict=True)) == dict(expected)


def test_all_descriptions_have_one_template_and_placement(crystals):
    rng = np.random.default_rng(0)
    for row in range(0, 250, 5):
        crystal = take(crystals, row)
        label, elements = template_of(crystal)
        template = make_template(label, [0], [elements])
        for _ in range(3):
            index = rng.integers(num_descriptions(crystal.group, mirror=True))
            other = jax.tree.map(np.asarray, redescribe(crystal, index, shift=rng.random(3)))
            assert template_of(other)[0] == label
            moved = template_of(other)[1]
            assert placement(template, moved) == placement(template, elements)


def crystal_on(template, elements, rng) -> Crystal:
    """A crystal of a template with given elements."""
    sites = [
        (element, position_label(i)[-1], tuple(rng.random(int(degrees_of_freedom(np.array(i))))))
        for element, ids in zip(elements, template.sites, strict=True)
        for i in ids
    ]
    return build_crystal(template.group, sites, random_parameters(template.group, rng))


@pytest.mark.parametrize("mirror", [True, False])
def test_equal_placements_are_equal_protostructures(mirror):
    rng = np.random.default_rng(1)
    several = 0
    for _ in range(120):
        label, elements = template_of(random_crystal(rng, sites=4), mirror=mirror)
        if len(elements) > 4:
            continue
        template = make_template(label, [0], [elements])
        names = set()
        for order in itertools.permutations(sorted(elements)):
            made = crystal_on(template, order, rng)
            name = protostructure_label(made, mirror=mirror)
            names.add((placement(template, order, mirror=mirror), name))
        several += len(names) > 1
        assert len({place for place, _ in names}) == len({name for _, name in names}) == len(names)
    assert several > 40


def test_templates_of_real_crystals_are_pymatgens(shared_rows, pymatgen_prototypes):
    """In monoclinic and triclinic groups pymatgen leaves out changes of oblique axes."""
    label_of = pymatgen_prototypes.get_protostructure_label_from_spglib
    compared, different = 0, []
    for row in shared_rows("mp_20_biternary/val", 150):
        crystal = from_arrays(*parse("cif", row["cif"]))
        if int(crystal.group) < 16:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = label_of(to_structure(crystal), init_symprec=0.01)
        compared += 1
        ours = template_of(crystal, mirror=False)[0]
        if ours != pymatgen_prototypes.get_prototype_from_protostructure(found):
            different.append((ours, found))
    assert compared > 80
    assert different == []


def test_look_ups(crystals):
    library = build_library(crystals)
    assert sum(len(t) for t in library.by_group.values()) == len(library.templates)
    for group, templates in library.by_group.items():
        assert {template.group for template in templates} == {group}
    for kind, templates in library.by_formula.items():
        for row in np.concatenate([template.members for template in templates]):
            assert (
                anonymous_formula(sorted(species_counts(take(crystals, int(row))).values())) == kind
            )
    names = [formula(take(crystals, row)) for row in range(250)]
    for name in set(names):
        expected = [row for row, other in enumerate(names) if other == name]
        assert rows_with_formula(library, name).tolist() == expected
    assert rows_with_formula(library, "XeAu4He9").tolist() == []


def test_formulas_with_several_units_and_brackets():
    library = build_library(mixed())
    assert rows_with_formula(library, "O2Si").tolist() == [4, 5]
    assert rows_with_formula(library, "Ti2O4").tolist() == [0]
    assert rows_with_formula(library, "(NaCl)3").tolist() == [1, 3]


def test_table():
    rows = tabulate(build_library(mixed()), 2)
    assert rows[0] == {
        "label": "AB2_hP9_152_a_c",
        "group": 152,
        "formula": "AB2",
        "sites": "A@3a B@6c",
        "count": 2,
        "share": 1 / 3,
    }
    assert len(rows) == 2
    assert math.isclose(sum(row["share"] for row in tabulate(build_library(mixed()))), 1)


def same(left, right) -> bool:
    return (left.size, left.mirror, len(left.templates)) == (
        right.size,
        right.mirror,
        len(right.templates),
    ) and all(
        (a.label, a.group, a.formula, a.sites) == (b.label, b.group, b.formula, b.sites)
        and np.array_equal(a.members, b.members)
        and np.array_equal(a.elements, b.elements)
        for a, b in zip(left.templates, right.templates, strict=True)
    )


@pytest.mark.parametrize("mirror", [True, False])
def test_saved_libraries_come_back(crystals, tmp_path, mirror):
    library = build_library(crystals, mirror=mirror)
    save_library(tmp_path / "library.npz", library)
    assert same(load_library(tmp_path / "library.npz"), library)
    assert [path.name for path in tmp_path.iterdir()] == ["library.npz"]


def test_unreadable_files_are_named(tmp_path):
    for name, content in {"a.npz": None, "b.npz": b"PK nonsense"}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            load_library(tmp_path / name)
    np.savez(tmp_path / "c.npz", label=np.array(["AB_cF8_999_a_b"]))
    with pytest.raises(InputError, match=r"c\.npz"):
        load_library(tmp_path / "c.npz")


def test_merged_libraries_are_those_of_the_joined_dataset(crystals):
    parts = [take(crystals, slice(0, 90)), take(crystals, slice(90, None))]
    assert same(merge(*map(build_library, parts)), build_library(crystals))
    with pytest.raises(InputError, match="mirror"):
        merge(build_library(parts[0]), build_library(parts[1], mirror=False))


@pytest.mark.parametrize("label", ["AB", "AB_cF8_999_a_b", "AB_cF8_225_a_z", "AB_cF8_x_a_b"])
def test_labels_that_are_none(label):
    with pytest.raises(InputError, match="template"):
        make_template(label, [], [])


def test_a_single_crystal_is_no_dataset():
    with pytest.raises(InputError, match="batch"):
        build_library(example_crystal())
    with pytest.raises(InputError, match="batch"):
        build_library(take(mixed(), slice(0, 0)))
