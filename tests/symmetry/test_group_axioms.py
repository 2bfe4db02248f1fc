"""The axioms of group theory, for every group and position, in exact integers."""

import hypothesis
import numpy as np
from hypothesis import strategies as st

from jaxcrys.symmetry import expand_orbits, load_tables, operations, positions_of
from jaxcrys.symmetry.stabiliser import stabiliser
from tests.groups import each_group

UNIT = 24
settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=100, database=None)
coordinates = st.lists(
    st.floats(0, 1, exclude_max=True, allow_subnormal=False), min_size=3, max_size=3
)
groups = st.integers(1, 230)
positions = st.integers(1, 1731)


def integers(group: int) -> tuple[np.ndarray, np.ndarray]:
    rotations, shifts = operations(group)
    return rotations.astype(int), shifts.astype(int)


def keys(rotations: np.ndarray, shifts: np.ndarray) -> set[bytes]:
    rows = np.concatenate([rotations.reshape(-1, 9), shifts.reshape(-1, 3) % UNIT], 1)
    return {row.tobytes() for row in rows.astype(np.int8)}


@each_group
def test_operations_are_closed_and_have_inverses(group):
    rotations, shifts = integers(group)
    own = keys(rotations, shifts)
    assert len(own) == len(rotations)
    products = rotations[:, None] @ rotations
    moved = (rotations[:, None] @ shifts[..., None])[..., 0] + shifts[:, None]
    assert keys(products, moved) == own
    inverse = np.rint(np.linalg.inv(rotations)).astype(int)
    back = -(inverse @ shifts[..., None])[..., 0]
    assert keys(inverse, back) == own


@each_group
def test_orbit_and_stabiliser(group):
    """Atoms of an orbit times operations that keep one of them are all operations."""
    ids = np.asarray(positions_of(group))
    order = np.asarray(stabiliser(ids)[2]).sum(-1)
    assert (order * load_tables().position_multiplicity[ids] == len(operations(group)[0])).all()


@settings
@hypothesis.given(positions)
def test_site_symmetry_leaves_the_tangent_space_alone(wyckoff):
    """And nothing else: its vectors are all that every operation of the stabiliser keeps."""
    tables = load_tables()
    group = int(tables.position_group[wyckoff])
    index, _, mask = stabiliser(np.asarray(wyckoff))
    rotations = integers(group)[0][index[mask]]
    tangent = tables.row_linear[tables.position_first_row[wyckoff]].astype(int)
    assert (rotations @ tangent == tangent).all()
    assert np.linalg.matrix_rank(rotations.mean(0)) == tables.position_dof[wyckoff]


@settings
@hypothesis.given(groups, st.data())
def test_expansion_commutes_with_every_operation(group, data):
    """Moving the representative by an operation moves its orbit onto itself, as a set."""
    ids = positions_of(group)
    wyckoff = data.draw(st.sampled_from(ids))
    free = np.array(data.draw(coordinates))
    rotations, shifts = integers(group)
    orbit = expand_orbits(np.array([wyckoff]), free[None], capacity=192)
    atoms = orbit.frac[orbit.mask]
    moved = np.einsum("oij,nj->oni", rotations, atoms) + (shifts / UNIT)[:, None]
    apart = moved[:, :, None] - atoms
    near = np.abs(apart - np.rint(apart)).max(-1) < 1e-9
    crowd = near[0].sum(0)  # atoms may coincide: as many must come as were there
    assert (near.sum(1) == crowd).all()
