"""Keys depend on what is drawn, not on how the work is cut up."""

import itertools

import jax
import numpy as np

from jaxcrys.core.rng import sample_keys, stream


def bits(keys):
    return np.asarray(jax.random.key_data(keys)).tolist()


def test_keys_do_not_depend_on_the_batch():
    together = bits(sample_keys(7, np.arange(100)))
    for size in (1, 3, 64):
        pieces = [bits(sample_keys(7, c)) for c in np.split(np.arange(100), range(size, 100, size))]
        assert [*itertools.chain(*pieces)] == together
    backwards = bits(sample_keys(7, np.arange(100)[::-1]))
    assert backwards == together[::-1]


def test_keys_are_those_of_jax_folded_with_the_index():
    expected = [bits(jax.random.fold_in(jax.random.key(7), i)) for i in (0, 5, 2**31)]
    assert bits(sample_keys(7, np.array([0, 5, 2**31]))) == expected


def test_seeds_and_indices_give_different_keys():
    keys = [tuple(k) for seed in range(5) for k in bits(sample_keys(seed, np.arange(200)))]
    assert len(set(keys)) == 1000


def test_streams_are_independent_of_each_other_and_of_the_process():
    key = jax.random.key(0)
    names = ["species", "lattice", "free", "wyckoff", "step"]
    assert len({tuple(bits(stream(key, name))) for name in names}) == len(names)
    # CRC-32 of the name: Python's own hash() would change from process to process.
    assert bits(stream(key, "123456789")) == bits(jax.random.fold_in(key, 0xCBF43926))


def test_streams_work_in_jit():
    key = jax.random.key(3)
    assert bits(jax.jit(stream, static_argnums=1)(key, "free")) == bits(stream(key, "free"))
