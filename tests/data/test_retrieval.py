"""Retrieval: compositions, symmetry and order, against brute force, spglib and pymatgen."""

import itertools
import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pymatgen.core import Composition

from jaxcrys.core.elements import parse_formula
from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, build_crystal, example_crystal, stack_crystals, validate
from jaxcrys.crystal.convert import detect_group, from_arrays, to_structure
from jaxcrys.crystal.describe import formula, species_counts
from jaxcrys.crystal.protostructure import protostructure_label, prototype_label
from jaxcrys.data.atomic_volume import cell_volumes, count_atoms
from jaxcrys.data.element_similarity import METRICS, element_distances
from jaxcrys.data.library import build_library
from jaxcrys.data.parsing import parse
from jaxcrys.data.retrieval import Retriever, build_retriever, retrieve, substitute

CUBIC = (90, 90, 90)


def known_crystals() -> Crystal:
    """Rock salt three times, caesium chloride, zinc blende, rutile, perovskite."""
    return stack_crystals(
        [
            example_crystal(),
            build_crystal(225, [(3, "a"), (9, "b")], (4.03, 4.03, 4.03, *CUBIC)),
            build_crystal(225, [(12, "a"), (8, "b")], (4.21, 4.21, 4.21, *CUBIC)),
            build_crystal(221, [(55, "a"), (17, "b")], (4.12, 4.12, 4.12, *CUBIC)),
            build_crystal(216, [(30, "a"), (16, "c")], (5.41, 5.41, 5.41, *CUBIC)),
            build_crystal(136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, *CUBIC)),
            build_crystal(221, [(38, "a"), (22, "b"), (8, "c")], (3.9, 3.9, 3.9, *CUBIC)),
        ],
        capacity=4,
    )


@pytest.fixture(scope="module")
def known() -> Retriever:
    return build_retriever(known_crystals())


@pytest.fixture(scope="module")
def real(shared_rows) -> Crystal:
    rows = shared_rows("mix_20/train", 500)
    return stack_crystals([from_arrays(*parse("cif", row["cif"])) for row in rows])


@pytest.fixture(scope="module")
def retriever(real) -> Retriever:
    return build_retriever(real)


def test_the_nearest_elements_come_first(known):
    found = retrieve(known, "KBr", 10)
    assert found[0].row == 0
    assert found[0].template == "AB_cF8_225_a_b"
    assert found[0].replaced == {19: 11, 35: 17}
    assert found[0].count == 3
    assert formula(found[0].crystal) == "KBr"
    assert {c.template for c in found} == {
        "AB_cF8_225_a_b",
        "AB_cP2_221_a_b",
        "AB_cF8_216_a_c",
    }
    assert len(found) == 3  # exchanging the two elements makes the same crystal in each
    assert [c.distance for c in found] == sorted(c.distance for c in found)


def test_both_arrangements_of_a_perovskite_are_candidates(known):
    first, second = retrieve(known, "BaZrO3", 10)
    assert first.replaced == {56: 38, 40: 22, 8: 8}
    assert second.replaced == {56: 22, 40: 38, 8: 8}
    assert first.distance < second.distance


def test_a_known_formula_gives_back_its_crystal(known):
    [best] = retrieve(known, "Ti2O4")
    assert best.distance == 0
    old = take(known.crystals, 5)
    for name in ("group", "wyckoff", "species", "free", "lattice"):
        np.testing.assert_allclose(getattr(best.crystal, name), getattr(old, name), atol=1e-12)


def test_ties_go_to_the_more_common_template():
    """The same elements in two structures, of which one is seen twice."""
    salt = build_crystal(225, [(55, "a"), (17, "b")], (6.9, 6.9, 6.9, *CUBIC))
    crystals = stack_crystals([take(known_crystals(), 3), salt, example_crystal()])
    found = retrieve(build_retriever(crystals), "CsCl", 2)
    assert [(c.row, c.distance, c.count) for c in found] == [(1, 0, 2), (0, 0, 1)]


def test_order_by_count(known):
    found = retrieve(known, "CsBr", 3, order="count")
    assert found[0].template == "AB_cF8_225_a_b"
    assert retrieve(known, "CsBr", 3)[0].template == "AB_cP2_221_a_b"
    assert found[1].template == "AB_cP2_221_a_b"


@pytest.mark.parametrize("metric", METRICS)
def test_the_ranking_is_that_of_brute_force(real, metric):
    """Every row, every permutation, full labels; the best of each protostructure."""
    small = take(real, slice(0, 200))
    retriever = build_retriever(small, metric=metric)
    distances = element_distances(metric)
    for asked in ("KZnF3", "CaO2", "LiCoNiSn", "YbIn", "Sm2Fe3Ge5"):
        counts = parse_formula(asked)
        best: dict[str, float] = {}
        for row in range(200):
            crystal = take(small, row)
            old = species_counts(crystal)
            units = math.gcd(*old.values())
            for order in itertools.permutations(old):
                mapping = dict(zip(order, counts, strict=False))
                if len(old) != len(counts) or any(
                    old[o] != units * counts[n] for o, n in mapping.items()
                ):
                    continue
                total = sum(distances[n, o] * counts[n] for o, n in mapping.items())
                label = protostructure_label(substitute(retriever, row, mapping))
                value = total / sum(counts.values())
                best[label] = min(value, best.get(label, np.inf))
        if not best:
            with pytest.raises(InputError):
                retrieve(retriever, asked)
            continue
        found = retrieve(retriever, asked, 1000)
        labels = [protostructure_label(c.crystal) for c in found]
        assert Counter(labels) == Counter(best.keys())
        for candidate, label in zip(found, labels, strict=True):
            assert candidate.distance == pytest.approx(best[label], abs=1e-8)
        assert [c.distance for c in found] == sorted(c.distance for c in found)


def test_candidates_of_real_crystals(real, retriever):
    """Exact composition, valid, the template and the cell's shape of the source, spglib's group."""
    symmetric = 0
    for row in range(0, 500, 12):
        asked = formula(take(real, row))
        for candidate in retrieve(retriever, asked, 3):
            crystal, source = candidate.crystal, take(real, candidate.row)
            validate(crystal)
            found = to_structure(crystal).composition
            assert found.reduced_formula == Composition(asked).reduced_formula
            assert set(candidate.replaced) == {el.Z for el in found}
            assert prototype_label(crystal) == candidate.template
            np.testing.assert_array_equal(crystal.free, source.free)
            np.testing.assert_array_equal(crystal.lattice[:5], source.lattice[:5])
            found_group = detect_group(crystal, 1e-3)
            assert found_group == detect_group(source, 1e-3)
            symmetric += found_group == int(crystal.group)
    assert symmetric > 100


def test_cells_fill_the_expected_volume(retriever):
    """Volumes scale as the sums of atomic volumes do."""
    for asked in ("KBr", "BaZrO3", "Ca2Ge"):
        for candidate in retrieve(retriever, asked, 3):
            cells = [candidate.crystal, take(retriever.crystals, candidate.row)]
            ratios = [float(cell_volumes(c) / (count_atoms(c) @ retriever.volumes)) for c in cells]
            assert ratios[0] == pytest.approx(ratios[1], rel=1e-9)


def test_the_volume_of_a_larger_alkali_halide_is_larger(known):
    small, large = (retrieve(known, name)[0].crystal for name in ("NaCl", "CsCl"))
    assert cell_volumes(small) == pytest.approx(5.64**3)
    assert cell_volumes(large) / count_atoms(large).sum() > cell_volumes(small) / 8


def test_device_arrays_are_taken_to_the_host(known):
    again = build_retriever(jax.tree.map(jnp.asarray, known_crystals()))
    [best] = retrieve(again, "KBr")
    assert isinstance(best.crystal.lattice, np.ndarray)
    assert best[1:] == retrieve(known, "KBr")[0][1:]


def test_a_library_at_hand_is_used(known):
    crystals = known_crystals()
    again = build_retriever(crystals, library=build_library(crystals))
    assert retrieve(again, "KBr")[0][1:] == retrieve(known, "KBr")[0][1:]
    with pytest.raises(InputError, match="library"):
        build_retriever(take(crystals, slice(0, 2)), library=again.library)


def test_formulas_of_an_unknown_kind_name_the_nearest(known):
    with pytest.raises(InputError, match=r"nearest kind that it has is AB2$"):
        retrieve(known, "Bi2Te5")
    with pytest.raises(InputError, match=r"KMg2F7 is of the kind AB2C7.*has is ABC3"):
        retrieve(known, "KMg2F7")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(("Xy2", 1), "element"), (("", 1), "formula"), (("NaCl", 0), "k:"), (("Na0.5Cl", 1), "read")],
)
def test_bad_questions(known, arguments, problem):
    with pytest.raises(InputError, match=problem):
        retrieve(known, *arguments)
    with pytest.raises(InputError, match="order"):
        retrieve(known, "NaCl", order="alphabet")
