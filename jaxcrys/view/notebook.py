"""Crystals in three dimensions, to turn with the mouse in a notebook (host side, plotly).

Atoms are lit spheres whose size keeps pace with the cell, and everything a picture needs is inside
it: no script is loaded from elsewhere, so a notebook that was saved as HTML works without network.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.core.radii import ATOMIC_RADII
from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.crystal.describe import formula
from jaxcrys.crystal.expand import expand, num_atoms
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import (
    matrix_from_parameters,
    parameters_from_matrix,
)
from jaxcrys.symmetry.asymmetric_unit import REFERENCE, asymmetric_unit
from jaxcrys.symmetry.groups import symbol
from jaxcrys.symmetry.wyckoff import position_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SIZE = 0.35
"""Radius of a sphere as a share of the atom's radius."""

BOND = 1.15
"""Atoms are joined that are nearer than so many times the sum of their radii."""

MOST_ATOMS = 1000
"""In all cells of a crystal; more are too many to turn."""

EDGE = 1e-3
"""Fractional distance from a face of the cell at which an atom is drawn on the far side too."""

ORBIT_COLOURS = (
    "#2f6fb0", "#e08a1e", "#3c9d4e", "#c23b3b", "#8a63b8", "#8c6d4f", "#d77bb5", "#6f7c85",
    "#b5b32e", "#2fb3bd",
)  # fmt: skip

EYE = {"x": 1.1, "y": -2.4, "z": 0.8}
"""From where the picture is first seen: a to the right, c upwards; farther away it is smaller."""

LIGHTING = {
    "ambient": 0.5, "diffuse": 0.6, "specular": 0.25, "roughness": 0.5,
    "facenormalsepsilon": 0, "vertexnormalsepsilon": 0,  # or small triangles are not lit
}  # fmt: skip
LIGHT = {"x": -3000, "y": 6000, "z": 10000}
"""From the upper left; of the frame, not of the cell."""

FILL = 2.2
"""Length of the diagonal of a picture, in the units of ``EYE``."""

WIDTH = 800
"""Of a notebook, in pixels; a picture is as wide."""

GREY = "#8a8a8a"


def show(
    *crystals: Crystal,
    colour: Literal["element", "orbit"] = "element",
    repeat: Sequence[int] = (1, 1, 1),
    bonds: bool = True,
    unit: bool = False,
    titles: Sequence[str] | None = None,
    height: int = 420,
) -> "Figure":
    """Draw the conventional cells of crystals side by side; dragging turns them.

    Atoms on a face, edge or corner of the cell are drawn wherever they appear on it. In a notebook
    make the call the last line of its cell.

    Args:
        crystals: single crystals, not batches.
        colour: by ``element``; or by ``orbit``, where the one atom of each orbit that lies in the
            asymmetric unit is solid and its images under the group are translucent.
        repeat: number of cells along a, b and c.
        bonds: whether near atoms are joined by lines.
        unit: draw the asymmetric unit of the group: its images fill space, and whatever lies in
            it stands for all the rest.
        titles: one for each; by default formula and space group.
        height: of the picture, in pixels.

    Returns:
        A plotly figure; its ``write_html`` saves it.

    Raises:
        InputError: for no crystal, a batch, another number of titles, or more atoms than
            ``MOST_ATOMS``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> figure = show(example_crystal())
        >>> [trace.name for trace in figure.data if trace.showlegend]
        ['Na', 'Cl']
    """
    from plotly.subplots import make_subplots

    _check(crystals, colour, repeat, titles)
    titles = titles or [f"{formula(each)}, {symbol(int(each.group))}" for each in crystals]
    figure = make_subplots(
        1, len(crystals), specs=[[{"type": "scene"}] * len(crystals)],
        subplot_titles=list(titles), horizontal_spacing=0.01,
    )  # fmt: skip
    for column, crystal in enumerate(crystals, start=1):
        atoms = _atoms(crystal, repeat, whole_orbits=colour == "orbit")
        traces = [*_edges(atoms.lattice, repeat), *_spheres(atoms, colour)]
        traces += _bonds(atoms) if bonds else []
        traces += _faces(int(crystal.group), atoms.lattice) if unit else []
        figure.add_traces(traces, rows=1, cols=column)
        narrow = min(WIDTH / len(crystals) / height, 1)
        figure.update_scenes(**_scene(traces, FILL * narrow), row=1, col=column)
    _name_once(figure)
    figure.update_layout(
        height=height, margin={"l": 0, "r": 0, "t": 30, "b": 0}, template="plotly_white",
        legend={"itemsizing": "constant"},
    )  # fmt: skip
    return figure


def _check(
    crystals: Sequence[Crystal], colour: str, repeat: Sequence[int], titles: Sequence[str] | None
) -> None:
    if not crystals:
        raise InputError("crystals", "expected at least one, got none")
    if any(np.ndim(each.group) for each in crystals):
        raise InputError("crystals", "expected single crystals, got a batch", "take one of it")
    if colour not in ("element", "orbit"):
        raise InputError("colour", f"must be element or orbit, got {colour!r}")
    if len(repeat) != 3 or min(repeat) < 1:
        raise InputError("repeat", f"expected three numbers of cells, got {tuple(repeat)}")
    if titles is not None and len(titles) != len(crystals):
        raise InputError("titles", f"{len(titles)} were given for {len(crystals)} crystals")
    most = max(int(num_atoms(each)) for each in crystals) * int(np.prod(repeat))
    if most > MOST_ATOMS:
        raise InputError("crystals", f"{most} atoms are too many to draw, at most {MOST_ATOMS}")


class _Atoms(NamedTuple):
    """What is drawn of a crystal.

    Attributes:
        lattice: rows of one cell in Å.
        points: Cartesian, Å, copies on the faces included.
        numbers: atomic numbers.
        site: number of the orbit of each.
        solid: whether each is one of those that are drawn solid.
        labels: element and position of each orbit, such as ``O 4f``.
    """

    lattice: Float[np.ndarray, "3 3"]
    points: Float[np.ndarray, "m 3"]
    numbers: Int[np.ndarray, "m"]
    site: Int[np.ndarray, "m"]
    solid: Bool[np.ndarray, "m"]
    labels: tuple[str, ...]


def _atoms(crystal: Crystal, repeat: Sequence[int], *, whole_orbits: bool) -> _Atoms:
    cell = jax.tree.map(np.asarray, expand(_host(crystal), capacity=int(num_atoms(crystal))))
    lattice = np.asarray(matrix_from_parameters(parameters_from_matrix(cell.lattice)))  # a along x
    frac = np.where(cell.frac > 1 - EDGE, cell.frac - 1, cell.frac)
    copies = frac[:, None] + np.array(list(itertools.product(*[range(n + 1) for n in repeat])))
    atom, copy = np.nonzero((copies < np.asarray(repeat) + EDGE).all(-1))
    points, solid = copies[atom, copy], np.ones(len(atom), bool)
    if whole_orbits:
        chosen, places = _in_unit(int(crystal.group), cell.frac, cell.site)
        seen = (np.abs(points[:, None] - places) < EDGE).all(-1).any(-1)
        atom, points = np.append(atom[~seen], chosen), np.concatenate([points[~seen], places])
        solid = np.arange(len(atom)) >= len(atom) - len(chosen)
    sites = zip(np.asarray(crystal.species), np.asarray(crystal.wyckoff), strict=True)
    return _Atoms(
        lattice=lattice,
        points=points @ lattice,
        numbers=cell.species[atom],
        site=cell.site[atom],
        solid=solid,
        labels=tuple(f"{SYMBOLS[z]} {position_label(w) if w else ''}" for z, w in sites),
    )


def _host(crystal: Crystal) -> Crystal:
    """In double precision, so that atoms on faces are found."""
    return Crystal(
        group=np.asarray(crystal.group),
        wyckoff=np.asarray(crystal.wyckoff),
        species=np.asarray(crystal.species),
        free=np.asarray(crystal.free, np.float64),
        lattice=np.asarray(crystal.lattice, np.float64),
    )


def _in_unit(
    group: int, frac: Float[np.ndarray, "n 3"], site: Int[np.ndarray, "n"]
) -> tuple[Int[np.ndarray, "s"], Float[np.ndarray, "s 3"]]:
    """An atom of each orbit, and where it or a copy of it lies in the asymmetric unit."""
    normals, offsets = asymmetric_unit(group)
    copies = frac[:, None] + np.array(list(itertools.product(range(-2, 3), repeat=3)))
    inside = np.all(copies @ normals.T <= offsets + 1e-4, axis=-1)
    chosen, places = [], []
    for number in np.unique(site):
        own = np.flatnonzero(site == number)
        rows, columns = np.nonzero(inside[own])
        chosen.append(own[rows[0]])
        places.append(copies[own[rows[0]], columns[0]])
    return np.array(chosen), np.array(places)


def _spheres(atoms: _Atoms, colour: str) -> list[Any]:
    """A mesh for the atoms of each orbit, or two where some are translucent."""
    from ase.data.colors import jmol_colors
    from plotly.graph_objects import Mesh3d

    corners, triangles = _sphere()
    traces = []
    for number in np.unique(atoms.site):
        for solid in (True, False):
            own = np.flatnonzero((atoms.site == number) & (atoms.solid == solid))
            if not len(own):
                continue
            element = int(atoms.numbers[own[0]])
            radius = SIZE * float(ATOMIC_RADII[element])
            points = (atoms.points[own, None] + radius * corners).reshape(-1, 3)
            faces = triangles + len(corners) * np.arange(len(own))[:, None, None]
            label = atoms.labels[number]
            name = SYMBOLS[element] if colour == "element" else label
            rgb = ",".join(str(round(255 * part)) for part in jmol_colors[element])
            paint = ORBIT_COLOURS[number % len(ORBIT_COLOURS)]
            traces.append(
                Mesh3d(
                    **_xyz(points.astype(np.float32)),
                    **dict(zip("ijk", faces.reshape(-1, 3).T.astype(np.int32), strict=True)),
                    color=f"rgb({rgb})" if colour == "element" else paint,
                    opacity=1.0 if solid else 0.35,
                    name=name, legendgroup=name, showlegend=True, hovertemplate=label,
                    lighting=LIGHTING, lightposition=LIGHT,
                )
            )  # fmt: skip
    return traces


@functools.cache
def _sphere() -> tuple[Float[np.ndarray, "p 3"], Int[np.ndarray, "f 3"]]:
    """Points and triangles of a unit sphere: an octahedron whose faces were divided thrice."""
    points = [tuple(sign * axis) for axis in np.eye(3) for sign in (1.0, -1.0)]
    faces = [(x, y, z) for x in (0, 1) for y in (2, 3) for z in (4, 5)]
    for _ in range(3):
        middle: dict[tuple[int, int], int] = {}
        finer = []
        for face in faces:
            between = []
            for i, j in itertools.combinations(sorted(face), 2):
                if (i, j) not in middle:
                    middle[i, j] = len(points)
                    half = np.add(points[i], points[j])
                    points.append(tuple(half / np.linalg.norm(half)))
                between.append(middle[i, j])
            a, b, c = sorted(face)
            ab, ac, bc = between
            finer += [(a, ab, ac), (ab, b, bc), (ac, bc, c), (ab, bc, ac)]
        faces = finer
    corners, triangles = np.array(points), np.array(faces)
    inward = np.linalg.det(corners[triangles]) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return corners, triangles


def _bonds(atoms: _Atoms) -> list[Any]:
    """Lines between near atoms; between two metals only where there is nothing else."""
    from pymatgen.core import Element

    radii = ATOMIC_RADII[atoms.numbers]
    apart = np.linalg.norm(atoms.points[:, None] - atoms.points, axis=-1)
    metal = np.array([Element.from_Z(int(number)).is_metal for number in atoms.numbers])
    both = metal[:, None] & metal & ~metal.all()
    near = (apart < BOND * (radii[:, None] + radii)) & ~both
    first, second = np.nonzero(np.triu(near, 1))
    return [_line(atoms.points[first], atoms.points[second], colour=GREY, width=5)]


def _edges(lattice: Float[np.ndarray, "3 3"], repeat: Sequence[int]) -> list[Any]:
    """The edges of the block of cells, and the names of its axes."""
    from plotly.graph_objects import Scatter3d

    lattice = lattice * np.asarray(repeat)[:, None]
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    starts = [corners[corners[:, axis] == 0] for axis in range(3)]
    ends = [start + np.eye(3)[axis] for axis, start in enumerate(starts)]
    tips = lattice * (1 + 0.9 / np.linalg.norm(lattice, axis=-1, keepdims=True))
    names = Scatter3d(**_xyz(tips), mode="text", text=["a", "b", "c"], hoverinfo="skip",
                      showlegend=False)  # fmt: skip
    lines = _line(np.concatenate(starts) @ lattice, np.concatenate(ends) @ lattice,
                  colour="black", width=2)  # fmt: skip
    return [lines, names]


def _faces(group: int, lattice: Float[np.ndarray, "3 3"]) -> list[Any]:
    """The asymmetric unit of a group as a translucent body with its edges."""
    from plotly.graph_objects import Mesh3d
    from scipy.spatial import ConvexHull, HalfspaceIntersection

    normals, offsets = asymmetric_unit(group)
    planes = np.column_stack([normals, -offsets])
    corners = np.unique(HalfspaceIntersection(planes, REFERENCE).intersections.round(9), axis=0)
    body = Mesh3d(
        **_xyz(corners @ lattice),
        **dict(zip("ijk", ConvexHull(corners).simplices.T, strict=True)),
        color=GREY, opacity=0.25, flatshading=True, name="asymmetric unit", showlegend=True,
        hoverinfo="skip",
    )  # fmt: skip
    on = np.abs(corners @ normals.T - offsets) < 1e-6
    pairs = np.array(list(itertools.combinations(range(len(corners)), 2)))
    joined = pairs[(on[pairs[:, 0]] & on[pairs[:, 1]]).sum(-1) >= 2]
    points = corners @ lattice
    return [body, _line(points[joined[:, 0]], points[joined[:, 1]], colour=GREY, width=3)]


def _line(
    starts: Float[np.ndarray, "m 3"], ends: Float[np.ndarray, "m 3"], *, colour: str, width: int
) -> Any:
    """Separate straight pieces, as one trace."""
    from plotly.graph_objects import Scatter3d

    gap = np.full_like(starts, np.nan)
    points = np.stack([starts, ends, gap], 1).reshape(-1, 3)
    return Scatter3d(
        **_xyz(points), mode="lines", line={"color": colour, "width": width}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip


def _xyz(points: Float[np.ndarray, "m 3"]) -> dict[str, np.ndarray]:
    return dict(zip("xyz", np.asarray(points).T, strict=True))


def _scene(traces: Sequence[Any], size: float) -> dict[str, Any]:
    """Settings by which a picture fills its frame, and an Å is as long in all directions."""
    points = np.concatenate([np.stack([each[axis] for axis in "xyz"], -1) for each in traces])
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    span = high - low
    axes = {
        f"{axis}axis": {"visible": False, "range": [float(start), float(end)]}
        for axis, start, end in zip("xyz", low, high, strict=True)
    }
    shape = dict(zip("xyz", map(float, size * span / np.linalg.norm(span)), strict=True))
    camera = {"eye": EYE}
    return axes | {"aspectmode": "manual", "aspectratio": shape, "camera": camera}


def _name_once(figure: "Figure") -> None:
    """Each name stands once in the legend, however many traces have it."""
    named: set[str] = set()
    for trace in figure.data:
        if trace.showlegend:
            trace.showlegend = trace.name not in named
            named.add(trace.name)
