"""What stands in a picture of a crystal, counted and measured from outside."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal, example_crystal, stack_crystals
from jaxcrys.crystal.convert import to_structure
from jaxcrys.symmetry import operations
from jaxcrys.view.notebook import MOST_ATOMS, SIZE, show

RUTILE = build_crystal(136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90))
QUARTZ = build_crystal(
    152, [(14, "a", (0.47,)), (8, "c", (0.413, 0.267, 0.214))], (4.913, 4.913, 5.405, 90, 90, 120)
)
TILTED = build_crystal(
    12, [(31, "i", (0.09, 0.79)), (8, "i", (0.17, 0.11))], (12.2, 3.04, 5.8, 90, 103.8, 90)
)


def bodies(figure, name=None):
    """Meshes of a figure, but for the asymmetric unit."""
    found = [trace for trace in figure.data if trace.type == "mesh3d" and trace.k is not None]
    atoms = [trace for trace in found if trace.name != "asymmetric unit"]
    return atoms if name is None else [trace for trace in found if trace.name == name]


def centres(trace):
    """Of the spheres of a mesh, each of which has as many points."""
    points = np.stack([trace.x, trace.y, trace.z], -1)
    faces = np.stack([trace.i, trace.j, trace.k], -1)
    size = 1 + faces[: len(faces) // number_of(trace)].max()
    return points.reshape(-1, size, 3).mean(1)


def number_of(trace):
    """Spheres in a mesh, by Euler's formula: points - edges + faces = 2 for each, and 3 f = 2 e."""
    return (len(trace.x) - len(trace.i) // 2) // 2


def bonds(figure):
    """Lines of a figure, but for the edges of the cell."""
    lines = [trace for trace in figure.data if trace.type == "scatter3d"]
    return [trace for trace in lines if trace.line.width == 5]


@pytest.mark.parametrize("crystal", [example_crystal(), RUTILE, QUARTZ, TILTED])
def test_each_sphere_is_an_atom_and_each_atom_is_drawn(crystal):
    structure = to_structure(crystal)
    parameters = structure.lattice.parameters
    axes = type(structure.lattice).from_parameters(*parameters)
    for trace in bodies(show(crystal)):
        atoms = [site.frac_coords for site in structure if site.specie.symbol == trace.name]
        drawn = lattice_x(parameters).get_fractional_coords(centres(trace))
        apart = axes.get_all_distances(drawn, atoms)
        assert apart.min(1).max() < 1e-3
        assert apart.min(0).max() < 1e-3
        assert drawn.min() > -1e-3
        assert drawn.max() < 1 + 1e-3


def lattice_x(parameters):
    """Pymatgen's lattice with a along x."""
    from pymatgen.core import Lattice

    a, b, c, *angles = parameters
    alpha, beta, gamma = np.radians(angles)
    second = [b * np.cos(gamma), b * np.sin(gamma), 0]
    along = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    third = c * np.array([np.cos(beta), along, np.sqrt(1 - np.cos(beta) ** 2 - along**2)])
    return Lattice([[a, 0, 0], second, third])


def test_atoms_on_faces_edges_and_corners_appear_wherever_they_lie():
    sodium, chlorine = bodies(show(example_crystal()))
    assert (number_of(sodium), number_of(chlorine)) == (14, 13)
    sodium, chlorine = bodies(show(example_crystal(), repeat=(2, 1, 1)))
    assert (number_of(sodium), number_of(chlorine)) == (23, 22)


def test_spheres_are_round_and_of_the_size_of_their_element():
    (trace,) = bodies(show(RUTILE), "O")
    points = np.stack([trace.x, trace.y, trace.z], -1)
    one = points[: len(points) // number_of(trace)]
    radius = SIZE * 0.60  # of oxygen, after Slater
    assert ConvexHull(one).volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.03)
    faces = np.stack([trace.i, trace.j, trace.k], -1)
    outward = np.linalg.det(points[faces] - centres(trace)[faces[:, :1] // len(one)])
    assert (outward > 0).all()


def test_bonds_join_titanium_to_its_six_oxygens():
    figure = show(RUTILE)
    (lines,) = [
        trace for trace in figure.data if trace.type == "scatter3d" and trace.line.width == 5
    ]
    points = np.stack([lines.x, lines.y, lines.z], -1).reshape(-1, 3, 3)
    lengths = np.linalg.norm(points[:, 0] - points[:, 1], axis=-1)
    structure = to_structure(RUTILE)
    expected = sorted(structure.get_all_neighbors(2.1)[0], key=lambda site: site.nn_distance)
    assert {site.specie.symbol for site in expected} == {"O"}
    np.testing.assert_allclose(np.unique(lengths.round(3)), np.unique(
        [round(site.nn_distance, 3) for site in expected]
    ), atol=2e-3)  # fmt: skip
    centre = np.array([4.594, 4.594, 2.959]) / 2
    assert (np.abs(points[:, :2] - centre).max(-1) < 1e-3).any(-1).sum() == 6
    assert not bonds(show(RUTILE, bonds=False))


@pytest.mark.parametrize("crystal", [example_crystal(), RUTILE, QUARTZ, TILTED])
def test_the_asymmetric_unit_has_its_volume_and_holds_one_atom_of_each_orbit(crystal):
    figure = show(crystal, colour="orbit", unit=True)
    (unit,) = bodies(figure, "asymmetric unit")
    hull = ConvexHull(np.stack([unit.x, unit.y, unit.z], -1))
    operations_in_cell = len(operations(int(crystal.group))[0])
    assert hull.volume == pytest.approx(to_structure(crystal).volume / operations_in_cell)
    solid = [trace for trace in bodies(figure) if trace.opacity == 1]
    assert len(solid) == len(crystal.wyckoff)
    for trace in solid:
        assert number_of(trace) == 1
        outside = hull.equations[:, :3] @ centres(trace)[0] + hull.equations[:, 3]
        assert outside.max() < 1e-2


def test_several_crystals_stand_side_by_side_and_each_name_once_in_the_legend():
    figure = show(RUTILE, QUARTZ, titles=["rutile", "quartz"])
    assert {trace.scene for trace in bodies(figure)} == {"scene", "scene2"}
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == ["O", "Si", "Ti"]
    assert [note.text for note in figure.layout.annotations] == ["rutile", "quartz"]


def test_an_angstrom_is_as_long_in_all_directions():
    scene = show(TILTED).layout.scene
    scale = [
        getattr(scene.aspectratio, axis) / np.ptp(getattr(scene, f"{axis}axis").range)
        for axis in "xyz"
    ]
    np.testing.assert_allclose(scale, scale[0])


@pytest.mark.parametrize(
    ("crystals", "settings", "message"),
    [
        ([], {}, "at least one"),
        ([stack_crystals([RUTILE, RUTILE])], {}, "got a batch"),
        ([RUTILE], {"colour": "blue"}, "element or orbit"),
        ([RUTILE], {"repeat": (1, 1)}, "three numbers"),
        ([RUTILE], {"repeat": (1, 0, 1)}, "three numbers"),
        ([RUTILE], {"titles": ["one", "two"]}, "2 were given for 1"),
        ([RUTILE], {"repeat": (10, 10, 10)}, f"at most {MOST_ATOMS}"),
    ],
)
def test_what_cannot_be_drawn_is_refused(crystals, settings, message):
    with pytest.raises(InputError, match=message):
        show(*crystals, **settings)
