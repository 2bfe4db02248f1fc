"""The density on tangent spaces against explicit sums in float64, autodiff, and spglib's groups."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spglib

from jaxcrys.processes import tangent_density, wrapped_density
from jaxcrys.symmetry.asymmetric_unit import count_self_maps, self_maps
from jaxcrys.symmetry.metric import family_metric, tangent_gram
from jaxcrys.symmetry.orbits import expand_orbits
from jaxcrys.symmetry.tables import load_tables
from jaxcrys.symmetry.wyckoff import free_mask, position_id, positions_of
from tests.groups import each_group

SIGMAS = np.array([0.005, 0.02, 0.1, 0.2, 0.3, 0.5])
SAMPLES = 20000
HEXAGONAL = [[1, -0.5, 0], [-0.5, 1, 0], [0, 0, 1]]
GRAMS = {
    "hexagonal": (HEXAGONAL, 3),
    "cubic": (np.eye(3), 3),
    "xx0z": (np.diag([2.0, 1, 1]), 2),
    "xxx": (np.diag([3.0, 1, 1]), 1),
    "hexagonal plane": (HEXAGONAL, 2),
    "point": (np.eye(3), 0),
}
CELLS = np.array(list(itertools.product(range(-5, 6), repeat=3)))

log_density = jax.jit(tangent_density.log_density)
score = jax.jit(tangent_density.score)
orbit_log_density = jax.jit(tangent_density.orbit_log_density)
sample = jax.jit(tangent_density.sample)
samples = jax.jit(jax.vmap(tangent_density.sample, (0, None, None, None, None)))


def mixture_log_density(delta, gram, sigma, dof):
    """Written here with 11 images each way, and NumPy's or JAX's own logsumexp and slogdet."""
    cells = CELLS[~CELLS[:, dof:].any(-1)][:, :dof]
    shifted = delta[None, :dof] + jnp.asarray(cells, delta.dtype)
    gram = gram[:dof, :dof]
    exponents = -jnp.einsum("ni,ij,nj->n", shifted, gram, shifted) / (2 * sigma**2)
    volume = jnp.linalg.slogdet(gram)[1] / 2 if dof else 0.0
    return jax.nn.logsumexp(exponents) + volume - dof * jnp.log(sigma * np.sqrt(2 * np.pi))


@functools.cache
def case(name: str):
    """Displacements [σ, point, 3] near and far, exact in float32; Gram matrix, σ, and mask."""
    gram, dof = GRAMS[name]
    rng = np.random.default_rng(0)
    near = rng.normal(size=(len(SIGMAS), 12, 3)) * SIGMAS[:, None, None]
    anywhere = rng.uniform(-1.5, 1.5, (len(SIGMAS), 12, 3))
    delta = np.concatenate([near, anywhere], 1).astype(np.float32)
    shape = delta.shape
    sigma = np.broadcast_to(SIGMAS[:, None], shape[:2]).astype(np.float32)
    mask = np.broadcast_to(np.arange(3) < dof, shape)
    return delta, np.broadcast_to(np.asarray(gram, np.float32), (*shape, 3)), sigma, mask


@functools.cache
def oracle(name: str):
    delta, gram, sigma, _ = case(name)
    with jax.enable_x64(True):
        both = jax.value_and_grad(functools.partial(mixture_log_density, dof=GRAMS[name][1]))
        arrays = [np.asarray(a, np.float64) for a in (delta, gram, sigma)]
        return [np.asarray(a) for a in jax.jit(jax.vmap(jax.vmap(both)))(*arrays)]


@pytest.mark.parametrize("name", GRAMS)
def test_density_and_score_are_those_of_the_mixture(name):
    delta, gram, sigma, mask = case(name)
    arguments = delta.astype(float), gram.astype(float), sigma.astype(float), mask
    value, slope = oracle(name)
    found = tangent_density.log_density(*arguments)
    np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(tangent_density.score(*arguments), slope, rtol=1e-6, atol=1e-5)
    assert not tangent_density.score(*arguments)[~mask].any()


slope_of_sum = jax.jit(jax.grad(lambda *args: tangent_density.log_density(*args).sum()))


@pytest.mark.parametrize("name", GRAMS)
def test_single_precision_is_enough(name):
    arguments = case(name)
    value, slope = oracle(name)
    found, gradient = log_density(*arguments), score(*arguments)
    assert found.dtype == gradient.dtype == jnp.float32
    np.testing.assert_allclose(found, value, rtol=2e-6, atol=2e-6)
    # In units of 1/σ, the size of a score where the density is not negligible.
    width = np.asarray(arguments[2])[..., None]
    np.testing.assert_allclose(gradient * width, slope * width, rtol=1e-5, atol=1e-5)
    taken = slope_of_sum(*arguments)
    np.testing.assert_allclose(taken * width, slope * width, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", [name for name in GRAMS if GRAMS[name][1]])
@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5])
def test_density_integrates_to_one(name, sigma):
    gram, dof = GRAMS[name]
    axis = np.arange(24) / 24
    grid = np.stack(np.meshgrid(*[axis if i < dof else [0.0] for i in range(3)]), -1).reshape(-1, 3)
    total = np.exp(tangent_density.log_density(grid, np.asarray(gram)[None], sigma,
                                               np.arange(3)[None] < dof)).mean()  # fmt: skip
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in GRAMS if GRAMS[name][1]])
def test_images_left_out_are_less_than_stated(name):
    """At σ = ½ against the longer sum, over the whole torus."""
    gram, dof = GRAMS[name]
    delta = np.random.default_rng(1).uniform(-0.5, 0.5, (400, 3))
    found = tangent_density.log_density(
        delta, np.asarray(gram)[None], 0.5, np.arange(3)[None] < dof
    )
    with jax.enable_x64(True):
        longer = functools.partial(mixture_log_density, sigma=0.5, dof=dof)
        each = jax.jit(jax.vmap(longer, (0, None)))
        whole = np.asarray(each(delta, np.asarray(gram, float)))
    # The uniform density over one period of the free coordinates is 1.
    assert np.abs(np.exp(found) - np.exp(whole)).max() < 1e-7


def test_in_one_dimension_it_is_the_wrapped_normal():
    delta = np.linspace(-1, 1, 41)[:, None] * np.array([1.0, 0, 0])
    mask = np.array([[True, False, False]])
    for sigma in SIGMAS:
        arguments = delta, np.eye(3)[None], sigma, mask
        found = tangent_density.log_density(*arguments)
        expected = wrapped_density.log_density(delta[:, 0], sigma)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
        expected = wrapped_density.score(delta[:, 0], sigma)
        found = tangent_density.score(*arguments)[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_masked_out_changes_nothing():
    delta, gram, sigma, mask = (np.array(a) for a in case("xx0z"))
    expected = tangent_density.log_density(delta, gram, sigma, mask)
    delta[~mask], gram[..., 2, :], gram[..., :, 2] = np.nan, np.inf, -7
    np.testing.assert_array_equal(tangent_density.log_density(delta, gram, sigma, mask), expected)
    assert np.isfinite(tangent_density.score(delta, gram, sigma, mask)).all()
    drawn = sample(jax.random.key(0), delta, gram, sigma, mask)
    np.testing.assert_array_equal(np.isnan(drawn), ~mask)


@pytest.mark.parametrize("name", [name for name in GRAMS if GRAMS[name][1]])
@pytest.mark.parametrize("sigma", [0.01, 0.08])
def test_samples_have_the_covariance_of_the_inverse_gram(name, sigma, assert_mean):
    gram, dof = GRAMS[name]
    u0, mask = np.array([0.02, 0.5, 0.97], np.float32), np.arange(3) < dof
    keys = jax.random.split(jax.random.key(5), SAMPLES)
    u = np.asarray(samples(keys, u0, np.asarray(gram, np.float32), sigma, mask))
    assert ((u >= 0) & (u < 1)).all()
    np.testing.assert_array_equal(u[:, dof:], np.broadcast_to(u0[dof:], u[:, dof:].shape))
    noise = (u - np.asarray(u0) + 0.5) % 1 - 0.5
    covariance = sigma**2 * np.linalg.inv(np.asarray(gram, float)[:dof, :dof])
    for i in range(dof):
        assert_mean(noise[:, i], 0.0)
        for j in range(dof):
            assert_mean(noise[:, i] * noise[:, j], covariance[i, j], k=5)


def test_wide_samples_follow_the_density(assert_mean):
    """Waves cos 2πm·(u - u0) have the mean exp(-2π² σ² m G⁻¹ m), wrapped or not."""
    gram, sigma = np.array(HEXAGONAL), 0.3
    u0 = np.broadcast_to(np.array([0.3, 0.6, 0.9], np.float32), (SAMPLES, 3))
    every = np.broadcast_to(gram.astype(np.float32), (SAMPLES, 3, 3))
    u = sample(jax.random.key(2), u0, every, sigma, np.ones((SAMPLES, 3), bool))
    delta = np.asarray(np.asarray(u) - u0, np.float64)
    for wave in np.array([[1, 0, 0], [1, 1, 0], [1, -1, 0], [0, 0, 1]]):
        decay = np.exp(-2 * (np.pi * sigma) ** 2 * wave @ np.linalg.inv(gram) @ wave)
        assert_mean(np.cos(2 * np.pi * delta @ wave), decay)
        assert_mean(np.sin(2 * np.pi * delta @ wave), 0.0)


def spglib_operations(group: int):
    found = spglib.get_symmetry_from_database(int(load_tables().group_hall_number[group]))
    return found["rotations"], found["translations"]


def room_for(count: int) -> int:
    """A size for that many points: few sizes are few programs, and most groups are small."""
    return next(room for room in (9, 17, 49, 97, 193, 385) if room >= count)


def differences(group, gram, sigma, points: int = 6):
    """Largest |log q(gx | gx0) - log q(x | x0)| over points and operations, float32 in jit.

    Points, their images and what lies between them are computed in float64 (a coordinate of 0.9 in
    float32 is off by 1e-5 of a width of 0.005), and padded so that all groups are few programs.
    """
    near = lambda delta: delta - np.rint(delta)  # noqa: E731
    rotations, translations = spglib_operations(group)
    rng = np.random.default_rng(group)
    x0 = rng.random((points, 3))
    noise = np.linalg.cholesky(np.linalg.inv(family_metric(np.asarray(group))))
    x = (x0 + sigma * rng.normal(size=(points, 3)) @ noise.T) % 1
    moved = [(p @ rotations.transpose(0, 2, 1) + translations[:, None]) % 1 for p in (x, x0)]
    padded = np.zeros((points, room_for(1 + len(rotations)), 3), np.float32)
    padded[:, 0] = near(x - x0)
    padded[:, 1 : len(rotations) + 1] = np.swapaxes(near(moved[0] - moved[1]), 0, 1)
    shape = (1, 1, 3, 3)
    value = np.asarray(log_density(
        padded, np.asarray(gram, np.float32).reshape(shape), np.float32(sigma),
        np.ones((1, 1, 3), bool),
    ))  # fmt: skip
    return np.abs(value[:, 1 : len(rotations) + 1] - value[:, :1]).max()


@each_group
def test_every_operation_leaves_the_density_as_it_is(group):
    metric = family_metric(np.asarray(group))
    widths = (0.005, 0.1, 0.3, 0.5)
    assert max(differences(group, metric, sigma) for sigma in widths) < 1e-5
    fractional = [differences(group, np.eye(3), sigma) for sigma in (0.05, 0.3)]
    if 143 <= group <= 194:
        assert max(fractional) > 0.01
    else:
        assert max(fractional) < 1e-5


FIXED = {1, 2, 4, 7, 9, 14, 19, 29, 33, 61, 76, 78, 144, 145, 169, 170}
"""Groups without special positions that have free coordinates, by pyxtal."""


@each_group
def test_every_operation_leaves_the_density_on_a_special_position(group):
    """It takes the tangent space of the representative to that of some row, or onto itself.

    Both by least squares: in the basis of the row that the image lies on, with the Gram matrix of
    that basis; and in the representative's own, with its own, where the image moves along it.
    """
    special = [w for w in positions_of(group)[:-1] if free_mask(np.asarray(w)).any()]
    assert bool(special) == (group not in FIXED)
    if not special:
        return
    tables, rng = load_tables(), np.random.default_rng(group)
    wyckoff = int(rng.choice(special))
    mask = free_mask(np.asarray(wyckoff))
    gram, metric = tangent_gram(np.asarray(wyckoff)), family_metric(np.asarray(group))
    basis = tables.row_linear[tables.position_first_row[wyckoff]] * mask
    orbit = expand_orbits(np.array([wyckoff]), rng.random((1, 3)), capacity=192)
    atoms, rows = orbit.frac[orbit.mask], tables.row_linear[orbit.row[orbit.mask]] * mask
    delta = rng.normal(size=3) * mask
    moved, grams = [delta], [gram]
    for rotation, shift in zip(*spglib_operations(group), strict=True):
        apart = rotation @ atoms[0] + shift - atoms
        (row,) = rows[np.abs(apart - np.rint(apart)).max(-1) < 1e-9]
        step = rotation @ basis @ delta
        for target in (row, basis):
            coordinates = np.linalg.lstsq(target.astype(float), step)[0]
            if np.allclose(target @ coordinates, step):
                moved.append(coordinates)
                grams.append(target.T @ metric @ target + np.diag(~mask))
        assert np.allclose(row @ np.linalg.lstsq(row.astype(float), step)[0], step)
    room = room_for(len(moved))
    padded = np.zeros((room, 3)), np.tile(np.eye(3), (room, 1, 1))
    padded[0][: len(moved)], padded[1][: len(grams)] = moved, grams
    for sigma in (0.005, 0.1, 0.3, 0.5):
        value = np.asarray(log_density(
            sigma * padded[0], padded[1], np.float32(sigma), np.broadcast_to(mask, padded[0].shape)
        ))  # fmt: skip
        assert np.abs(value[1 : len(moved)] - value[0]).max() < 1e-5


ORBITS = [(2, "i"), (62, "c"), (146, "b"), (166, "h"), (166, "i"), (194, "k"), (194, "l"),
          (221, "k"), (227, "g"), (225, "l")]  # fmt: skip


def orbit_arguments(label, sigma, points=3):
    wyckoff = np.full(points, position_id(*label))
    rng = np.random.default_rng(sum(map(ord, label[1])) + label[0])
    capacity = int(count_self_maps(wyckoff[:1])[0])
    u, u0 = rng.random((2, points, 3)) * free_mask(wyckoff)
    return (
        u,
        u0,
        self_maps(wyckoff, capacity=capacity),
        tangent_gram(wyckoff),
        sigma,
        free_mask(wyckoff),
    )


@pytest.mark.parametrize("label", ORBITS)
def test_orbit_density_is_the_explicit_sum_and_its_gradient(label):
    u, u0, maps, gram, sigma, mask = orbit_arguments(label, 0.15)
    dof = int(mask[0].sum())
    value = tangent_density.orbit_log_density(u, u0, maps, gram, sigma, mask)
    slope = tangent_density.orbit_score(u, u0, maps, gram, sigma, mask)

    def explicit(point, centre, linear, shift, metric):
        each = jax.vmap(lambda m, t: mixture_log_density(point - (m * centre[None]).sum(-1) - t,
                                                         metric, sigma, dof))  # fmt: skip
        return jax.nn.logsumexp(each(linear, shift))

    with jax.enable_x64(True):
        arrays = [np.asarray(a, float) for a in (u, u0, maps[0], maps[1], gram)]
        expected, gradient = jax.jit(jax.vmap(jax.value_and_grad(explicit)))(*arrays)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("label", ORBITS)
def test_orbit_density_is_the_same_for_all_names_of_the_same_atoms(label):
    """In float32 and jit; any image of u, any of u0."""
    u, u0, maps, gram, sigma, mask = orbit_arguments(label, 0.2)
    linear, shift, _ = maps
    chosen = np.arange(len(u)), np.random.default_rng(0).integers(linear.shape[1], size=len(u))
    turned, turned0 = ((linear[chosen] * p[:, None]).sum(-1) + shift[chosen] for p in (u, u0))
    expected, *others = (
        orbit_log_density(left, right, maps, gram, np.float32(sigma), mask)
        for left, right in ((u, u0), (turned, u0), (u, turned0), (turned, turned0))
    )
    for other in others:
        np.testing.assert_allclose(other, expected, rtol=2e-5, atol=2e-5)


def test_orbit_density_integrates_to_the_number_of_maps_and_knows_empty_slots():
    wyckoff = np.array([position_id(187, "l"), 0])
    maps = self_maps(wyckoff, capacity=12)
    axis = np.arange(24) / 24
    grid = np.stack(np.meshgrid(axis, axis, [0.0]), -1).reshape(-1, 1, 3) * np.ones((1, 2, 1))
    at = lambda a: np.broadcast_to(a, (len(grid), *a.shape))  # noqa: E731
    u0 = at(np.array([[0.1, 0.27, 0.0], [0, 0, 0]]))
    value = tangent_density.orbit_log_density(
        grid, u0, tuple(map(at, maps)), at(tangent_gram(wyckoff)), 0.15, at(free_mask(wyckoff))
    )
    assert np.exp(value[:, 0]).mean() == pytest.approx(maps[2][0].sum(), rel=1e-6)
    np.testing.assert_array_equal(value[:, 1], 0)
    assert maps[2][0].sum() == count_self_maps(wyckoff)[0] == 6
