"""Conversion against spglib, pymatgen and ASE, on all groups and on real crystals."""

import dataclasses
import functools
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from jaxcrys.core.pytree import take
from jaxcrys.crystal import Crystal, Site, build_crystal, example_crystal, stack_crystals, validate
from jaxcrys.crystal.assign import assign_sites
from jaxcrys.crystal.convert import (
    cell_and_labels,
    detect_group,
    from_arrays,
    from_atoms,
    from_structure,
    to_atoms,
    to_structure,
)
from jaxcrys.crystal.raw import RawCell
from jaxcrys.symmetry import load_tables, position_label, positions_of
from tests.crystals import random_crystal, random_parameters

ENGINES = ("spglib", "moyopy")
FILES = ("mix_20/val", "mpts_52/test", "perov_5/val", "carbon_24/val", "lemat_sample/train")
IMPROPER_BASIS = np.array([[1, 2, 0], [0, 1, -1], [0, 0, -1]])


def general_crystal(group: int) -> Crystal:
    """A crystal with no more symmetry than its group: random points on the general position."""
    rng = np.random.default_rng(group)
    sites = [Site(26, last_letter(group), tuple(rng.random(3))) for _ in range(3)]
    if load_tables().position_multiplicity[positions_of(group)[-1]] > 24:
        sites = sites[:1]
    stretched = np.multiply(random_parameters(group, rng), [2, 2, 2, 1, 1, 1])
    return build_crystal(group, sites, stretched)


def last_letter(group: int) -> str:
    return str(load_tables().position_letter[positions_of(group)[-1]])


def sorted_distances(cell: RawCell) -> np.ndarray:
    """Squared distances from the first atom to all others, up to images: a fingerprint."""
    difference = cell.frac[:, None] - cell.frac[None]
    images = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    vectors = (
        difference[..., None, :] - np.round(difference[..., None, :]) + images
    ) @ cell.lattice
    return np.sort((vectors**2).sum(-1).min(-1).ravel())


def same_atoms(first: RawCell, second: RawCell, tolerance: float = 1e-6) -> bool:
    """Whether two cells hold the same atoms in the same places, in any order."""
    if len(first.numbers) != len(second.numbers):
        return False
    difference = first.frac[:, None] - second.frac[None]
    difference = np.abs(difference - np.round(difference)).max(-1)
    difference[first.numbers[:, None] != second.numbers] = 1
    partner = difference.argmin(1)
    return len(set(partner)) == len(partner) and bool(difference.min(1).max() < tolerance)


@pytest.mark.parametrize("groups", [range(1, 75), range(75, 195), range(195, 231)])
def test_every_position_is_recognised(groups):
    tables = load_tables()
    rng = np.random.default_rng(0)
    for group in groups:
        for position in positions_of(group):
            free = (0.1371, 0.2817, 0.0463)[: tables.position_dof[position]]
            letter = str(tables.position_letter[position])
            parameters = np.multiply(random_parameters(group, rng), [3, 3, 3, 1, 1, 1])
            crystal = build_crystal(group, [(26, letter, free)], parameters)
            cell, _ = cell_and_labels(crystal)
            found = assign_sites(group, *cell, tolerance=1e-3)
            assert found.wyckoff.tolist() == [position], position_label(position)
            assert same_atoms(cell_and_labels(found)[0], cell)
            np.testing.assert_allclose(found.lattice, crystal.lattice, atol=1e-12)


def test_the_order_of_the_atoms_does_not_matter():
    rng = np.random.default_rng(0)
    for group in (2, 14, 62, 139, 166, 194, 225, 227):
        cell, _ = cell_and_labels(random_crystal(rng, group=group))
        shuffled = rng.permutation(len(cell.numbers))
        first = assign_sites(group, *cell, tolerance=1e-3)
        second = assign_sites(
            group, cell.lattice, cell.frac[shuffled], cell.numbers[shuffled], tolerance=1e-3
        )
        for field in dataclasses.fields(Crystal):
            np.testing.assert_allclose(
                getattr(first, field.name), getattr(second, field.name), atol=1e-12
            )


def test_atoms_that_fit_no_orbit_are_refused():
    frac = np.array([[0.1, 0.2, 0.3], [0.6, 0.1, 0.9]])
    with pytest.raises(ValueError, match="2 of 2 atoms fit no orbit of P-1") as caught:
        assign_sites(2, 5 * np.eye(3), frac, np.array([6, 7]))
    assert caught.value.code == "no_sites"
    with pytest.raises(ValueError, match="metric") as caught:
        assign_sites(225, np.diag([4.0, 5, 6]), frac, np.array([6, 7]))
    assert caught.value.code == "no_sites"


@pytest.mark.parametrize("engine", ENGINES)
def test_all_groups_survive_a_change_of_basis_and_origin(engine):
    for group in range(1, 231):
        original = general_crystal(group)
        cell, _ = cell_and_labels(original)
        basis, shift = IMPROPER_BASIS, np.array([0.11, 0.23, 0.37])
        moved = (cell.frac + shift) @ np.linalg.inv(basis)
        found = from_arrays(
            basis @ cell.lattice, moved, cell.numbers, symprec=1e-3, engine=engine, min_distance=0
        )
        assert int(found.group) == group
        validate(found)
        atoms, _ = cell_and_labels(found)
        assert len(atoms.numbers) == len(cell.numbers)
        if len(atoms.numbers) <= 48:
            np.testing.assert_allclose(sorted_distances(atoms), sorted_distances(cell), atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_well_known_crystals(engine):
    def found(group, species, coordinates, lattice):
        structure = Structure.from_spacegroup(group, lattice, species, coordinates)
        crystal = from_structure(structure.get_primitive_structure(), engine=engine)
        labels = map(position_label, crystal.wyckoff.tolist())
        return sorted(zip(crystal.species.tolist(), labels, strict=True))

    spinel = found(
        "Fd-3m",
        ["Mg", "Al", "O"],
        [[0, 0, 0], [0.625, 0.625, 0.625], [0.3875, 0.3875, 0.3875]],
        Lattice.cubic(8.08),
    )
    assert spinel == [(8, "32e"), (12, "8a"), (13, "16d")]
    telluride = found(
        "R-3m",
        ["Bi", "Te", "Te"],
        [[0, 0, 0.4], [0, 0, 0], [0, 0, 0.21]],
        Lattice.hexagonal(4.38, 30.5),
    )
    assert telluride == [(52, "3a"), (52, "6c"), (83, "6c")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("group", "mirror_image"), [(152, 154), (178, 179), (212, 213), (92, 96)])
def test_handedness_is_kept(engine, group, mirror_image):
    cell, _ = cell_and_labels(general_crystal(group))
    assert int(from_arrays(*cell, symprec=1e-3, engine=engine).group) == group
    mirrored = cell.lattice @ np.diag([1, 1, -1])
    result = from_arrays(mirrored, cell.frac, cell.numbers, symprec=1e-3, engine=engine)
    assert int(result.group) == mirror_image


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FILES)
def test_real_crystals_come_back_equal(shared_rows, name, engine):
    matcher = StructureMatcher()
    for row in shared_rows(name, 40):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            original = Structure.from_str(row["cif"], fmt="cif")
        crystal = from_structure(original, engine=engine)
        validate(crystal)
        assert matcher.fit(original, to_structure(crystal)), row
        if engine == "spglib":
            labelled = row.get("spacegroup.number", int(crystal.group))
            assert int(crystal.group) == int(labelled)


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_sites_are_those_that_pymatgen_finds(shared_rows):
    for row in shared_rows("mp_20_biternary/test", 60):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            original = Structure.from_str(row["cif"], fmt="cif")
        refined = SpacegroupAnalyzer(original, 0.1).get_refined_structure()
        sites = SpacegroupAnalyzer(refined, 0.1).get_symmetrized_structure().equivalent_sites
        expected = sorted((orbit[0].specie.Z, len(orbit)) for orbit in sites)
        crystal = from_structure(original)
        count = load_tables().position_multiplicity[crystal.wyckoff]
        assert sorted(zip(crystal.species.tolist(), count.tolist(), strict=True)) == expected


def test_structures_carry_labels_and_float64():
    single = jax.tree.map(lambda a: np.float32(a) if a.dtype == float else a, example_crystal())
    structure = to_structure(take(stack_crystals([single], capacity=5), 0))
    assert structure.site_properties["wyckoff"] == ["4a"] * 4 + ["4b"] * 4
    assert structure.lattice.matrix.dtype == np.float64


def test_ase_round_trip():
    atoms = to_atoms(example_crystal())
    assert atoms.pbc.all()
    assert atoms.arrays["wyckoff"].tolist() == ["4a"] * 4 + ["4b"] * 4
    back = from_atoms(atoms)
    assert int(back.group) == 225
    np.testing.assert_allclose(back.lattice, example_crystal().lattice, atol=1e-12)
    atoms.pbc = [True, True, False]
    with pytest.raises(ValueError, match="periodic in three directions"):
        from_atoms(atoms)


def test_deuterium_is_read_as_hydrogen():
    heavy = Structure(Lattice.cubic(4), ["D"], [[0, 0, 0]])
    assert from_structure(heavy).species.tolist() == [1]


def test_oxidation_states_do_not_matter():
    charged = Structure(Lattice.cubic(4.1), ["Cs+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert int(from_structure(charged).group) == 221


def test_detected_group_depends_on_the_tolerance():
    off = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.505]])
    cell = RawCell(off.lattice.matrix, off.frac_coords, np.array([55, 17]))
    assert detect_group(cell, 0.1) == 221
    assert detect_group(cell, 0.001) == 99
    assert detect_group(example_crystal(), 0.001) == 225


def test_no_group_is_detected_where_there_is_no_crystal():
    coincident = RawCell(4 * np.eye(3), np.zeros((2, 3)), np.array([1, 1]))
    assert detect_group(coincident) == 0
    flat = RawCell(np.diag([4.0, 4, 0]), np.zeros((1, 3)), np.array([1]))
    assert detect_group(flat) == 0


def cubic(frac, numbers, edge=5.0):
    return functools.partial(from_arrays, edge * np.eye(3), frac, numbers)


REJECTED = {
    "no_atoms": cubic(np.zeros((0, 3)), []),
    "not_finite": cubic([[np.nan, 0, 0]], [6]),
    "unknown_element": cubic([[0, 0, 0]], [119]),
    "too_many_atoms": functools.partial(cubic(np.zeros((5, 3)), [6] * 5), max_atoms=4),
    "overlap": cubic([[0, 0, 0], [0.99, 0.01, 0.99]], [6, 6]),
    "bad_lattice": functools.partial(
        from_arrays, [[1, 0, 0], [2, 0, 0], [0, 0, 1]], [[0] * 3], [6]
    ),
    "disordered": functools.partial(
        from_structure, Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    ),
}


@pytest.mark.parametrize("code", REJECTED)
def test_what_is_no_crystal_is_rejected_with_a_code(code):
    with pytest.raises(ValueError) as caught:
        REJECTED[code]()
    assert caught.value.code == code


@pytest.mark.parametrize(
    "lattice",
    [
        np.zeros((3, 3)),
        np.diag([5.0, 5, 1e-9]),
        np.diag([5.0, 1e-320, 5]),
        np.diag([0.5, 50, 50]),
        np.diag([5.0, 5, 5000]),
        np.full((3, 3), np.inf),
        [[5, 0, 0], [0, 5, 0], [4.9999, 5.0001, 0.01]],
    ],
)
def test_lattices_that_would_crash_an_engine_are_refused(lattice):
    with pytest.raises(ValueError) as caught:
        from_arrays(lattice, [[0, 0, 0]], [6])
    assert caught.value.code in ("bad_lattice", "not_finite")


def test_conventional_cells_count_too():
    frac = [[0, 0, 0], [0.25, 0.25, 0.25]]
    primitive = 2.7 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    with pytest.raises(ValueError, match="8 atoms in the conventional cell, more than 7"):
        from_arrays(primitive, frac, [14, 14], max_atoms=7)


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_failures_are_rejections(engine):
    with pytest.raises(ValueError, match=engine) as caught:
        from_arrays(4 * np.eye(3), [[0, 0, 0], [0.1, 0, 0]], [1, 1], symprec=1.0, engine=engine)
    assert caught.value.code == "no_symmetry"


def test_unknown_engine_is_named():
    with pytest.raises(ValueError, match="must be one of spglib, moyopy, got 'spg'"):
        from_arrays(4 * np.eye(3), [[0, 0, 0]], [1], engine="spg")


def test_jax_is_never_started():
    code = """
import numpy as np
from jaxcrys.crystal.cif import to_cif
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import from_arrays, to_structure
crystal = from_arrays(4 * np.eye(3), [[0, 0, 0]], [84])
to_structure(crystal), read_cif(to_cif(crystal))
from jax._src import xla_bridge
assert not xla_bridge._backends
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
