"""Nequix against the values of its own package, and asymmetric units against full cells."""

import csv
import gzip
import io
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import from_arrays
from jaxcrys.crystal.edges import find_edges
from jaxcrys.crystal.expand import num_atoms
from jaxcrys.crystal.p1 import to_p1
from jaxcrys.crystal.packed import Capacity, pack, room_for
from jaxcrys.potentials.base import predict
from jaxcrys.potentials.irreps import rotation_matrices, site_projectors
from jaxcrys.potentials.nequix_file import load_nequix
from jaxcrys.symmetry.rotations import cartesian_rotations
from tests.crystals import GROUPS, spaced_crystal
from tests.weights import SETTINGS, small_file


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.nqx"
    path.write_bytes(small_file())
    return load_nequix(path)


@pytest.fixture(scope="module")
def crystals():
    random = np.random.default_rng(5)
    return [spaced_crystal(random, group=group, most_atoms=12) for group in GROUPS]


def evaluate(potential, crystals):
    edges = [find_edges(crystal, potential.cutoff) for crystal in crystals]
    packed = pack(crystals, edges, room_for(crystals, edges))
    return packed[0], jax.device_get(jax.jit(predict)(potential, *packed))


@pytest.fixture(scope="module")
def three_ways(small, crystals):
    """Crystals as they are, and their conventional and primitive cells without symmetry."""
    cells = [[to_p1(one, primitive=primitive) for one in crystals] for primitive in (False, True)]
    packed, found = evaluate(small, [*crystals, *cells[0], *cells[1]])
    per_atom = found.energy / np.bincount(packed.crystal, packed.atoms)
    return packed, found, per_atom.reshape(3, -1)


def test_asymmetric_units_say_what_full_cells_say(three_ways, crystals):
    packed, found, (symmetric, conventional, _) = three_ways
    np.testing.assert_allclose(symmetric, conventional, atol=1e-5)
    count = len(crystals)
    np.testing.assert_allclose(found.stress[:count], found.stress[count : 2 * count], atol=1e-4)
    own, full = packed.crystal < count, (packed.crystal // count) == 1
    first = np.cumsum(np.r_[0, packed.atoms[own][:-1]])
    np.testing.assert_allclose(found.forces[own], found.forces[full][first], atol=2e-4)
    edges = np.bincount(packed.crystal[packed.receiver] // count)
    assert edges[0] * 4 < edges[1]


def test_energies_do_not_turn_with_the_crystal(three_ways):
    """A primitive cell's symmetric matrix has another orientation than the conventional one's."""
    _, _, (_, conventional, primitive) = three_ways
    np.testing.assert_allclose(conventional, primitive, atol=1e-5)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_turn_as_the_tables_say(degree):
    import e3nn_jax as e3nn

    points = np.random.default_rng(0).normal(size=(6, 3))
    irrep = e3nn.Irreps([(1, (degree, (-1) ** degree))])

    def harmonics(x):
        return np.asarray(e3nn.spherical_harmonics(irrep, jax.numpy.asarray(x), True).array)

    matrices = rotation_matrices(degree)
    for rotation, matrix in zip(cartesian_rotations()[::7], matrices[::7], strict=True):
        np.testing.assert_allclose(
            harmonics(points @ rotation.T), harmonics(points) @ matrix.T, atol=2e-6
        )
    projectors = site_projectors(degree)
    np.testing.assert_allclose(projectors @ projectors, projectors, atol=1e-8)


@pytest.fixture(scope="module")
def weights(shared_data):
    path = shared_data.parent / "models" / "nequix-mp-1.nqx"
    if not path.exists():
        pytest.skip("the weights of Nequix-MP-1 are not here")
    return load_nequix(path)


def test_real_crystals_have_the_values_of_the_package(weights, shared_data):
    reference = json.loads(
        Path(__file__).with_name("nequix_reference.json").read_text(encoding="utf-8")
    )
    assert weights.digest == reference["weights"]
    texts = {}
    for name in {entry["table"] for entry in reference["crystals"]}:
        with gzip.open(shared_data / f"{name}.csv.gz", "rt", encoding="utf-8") as handle:
            texts |= {(name, row["material_id"]): row["cif"] for row in csv.DictReader(handle)}
    entries = reference["crystals"]
    crystals = [from_arrays(*read_cif(texts[entry["table"], entry["id"]])) for entry in entries]
    edges = [find_edges(crystal, weights.cutoff) for crystal in crystals]
    packed, free, lattice = pack(crystals, edges, room_for(crystals, edges))
    found = jax.device_get(jax.jit(predict)(weights, packed, free, lattice))
    atoms = np.array([int(num_atoms(crystal)) for crystal in crystals])
    energies = np.array([entry["energy"] for entry in entries])
    np.testing.assert_allclose(found.energy / atoms, energies / atoms, atol=1e-5)
    for number, entry in enumerate(entries):
        np.testing.assert_allclose(
            found.forces[packed.crystal == number], entry["forces"], atol=2e-4
        )
        np.testing.assert_allclose(found.stress[number], entry["stress"], atol=2e-5)
    assert max(np.abs(entry["forces"]).max() for entry in entries) > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-9], "is not a file of Nequix's weights"),
        (lambda data: data[:400], "is not a file of Nequix's weights"),
        (lambda data: b"\x80\x04junk" + data, "is not a file of Nequix's weights"),
        (lambda data: data + data[-200:], "holds more arrays"),
        (lambda data: data.replace(b'"index_weights": false', b'"index_weights": true'),
         "index_weights = True, which is not supported"),
        (lambda data: data.replace(b"6x0e + 4x1o", b"6x0e + 4x3o"), "not one per degree"),
        (lambda data: data.replace(b'"n_layers": 3', b'"n_layers": 2'), "shape"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, change, message):
    path = tmp_path / "weights.nqx"
    path.write_bytes(change(small_file()))
    with pytest.raises(InputError, match=message):
        load_nequix(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.nqx"):
        load_nequix(tmp_path / "nothing.nqx")


def test_nothing_is_unpickled(tmp_path):
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    path = tmp_path / "weights.nqx"
    path.write_bytes(json.dumps(SETTINGS).encode() + b"\n" + file.getvalue())
    with pytest.raises(InputError, match="is not a file of Nequix's weights"):
        load_nequix(path)


def test_large_sets_share_a_program(small, crystals):
    traces = []

    def counted(*arguments):
        traces.append(1)
        return predict(*arguments)

    program, room = jax.jit(counted), Capacity(8, 40, 400, 3000)
    for some in (crystals[:4], crystals[4:9]):
        edges = [find_edges(crystal, small.cutoff) for crystal in some]
        found = program(small, *pack(some, edges, room))
        assert np.isfinite(found.energy).all()
    assert len(traces) == 1
