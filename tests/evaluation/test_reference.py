"""Columns of data sets, and samples from the files people have: against pymatgen."""

import zipfile
from collections import Counter

import ase.io
import numpy as np
import pytest

from jaxcrys.crystal.convert import to_atoms, to_structure
from jaxcrys.evaluation.examine import Task, examine
from jaxcrys.evaluation.reference import read_reference
from jaxcrys.evaluation.samples import read_samples
from tests.evaluation.sets import cif, salts, write_dataset


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return read_reference(write_dataset(tmp_path_factory.mktemp("reference") / "set", salts()))


@pytest.fixture(scope="module")
def structures():
    return [to_structure(crystal) for crystal in salts()]


def test_columns_are_those_of_pymatgen(reference, structures):
    np.testing.assert_allclose(
        reference.column("density"), [each.density for each in structures], rtol=1e-3
    )
    counts = [len(each.composition) for each in structures]
    np.testing.assert_array_equal(reference.column("num_elements"), counts)
    primitive = [len(each.get_primitive_structure()) for each in structures]
    np.testing.assert_array_equal(reference.column("primitive_atoms"), primitive)
    assert reference.formula == [each.composition.reduced_formula for each in structures]
    elements = Counter(str(e) for each in structures for e in each.composition)
    assert reference.elements() == elements
    np.testing.assert_allclose(reference.cell(6)[0], structures[6].lattice.matrix, atol=1e-9)


def test_columns_are_those_of_the_same_crystals_as_samples(reference):
    rows = [examine(Task(sample)) for sample in reference.samples(range(10))]
    for name in ("density", "num_elements", "sites", "primitive_atoms"):
        np.testing.assert_allclose(reference.column(name), [row[name] for row in rows])
    assert reference.labels(range(10)) == [row["protostructure"] for row in rows]
    assert reference.prototypes() == {row["prototype"] for row in rows}


def test_samples_are_read_from_whatever_people_write(tmp_path, structures):
    texts = [cif(crystal) for crystal in salts()[:3]]
    (tmp_path / "set.csv").write_text(
        "material_id,cif\n" + "".join(f'm{i},"{text}"\n' for i, text in enumerate(texts))
    )
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"deep/{number}.cif", text)
    ase.io.write(tmp_path / "set.extxyz", [to_atoms(crystal) for crystal in salts()[:3]])
    expected = [each.composition.reduced_formula for each in structures[:3]]
    for kind in ("csv", "zip", "extxyz"):
        samples = read_samples(tmp_path / f"set.{kind}")
        assert [examine(Task(sample))["formula"] for sample in samples] == expected, kind
        assert [sample.name for sample in read_samples(tmp_path / f"set.{kind}", limit=2)] == [
            sample.name for sample in samples[:2]
        ]
    assert [sample.name for sample in read_samples(tmp_path / "set.csv")] == ["m0", "m1", "m2"]
