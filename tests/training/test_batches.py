"""The order of the crystals."""

import numpy as np

from jaxcrys.training.batches import BatchOrder
from jaxcrys.training.examples import NOBODY

INDEX = np.array([0] * 11 + [2] * 5 + [1] * 4)


def test_every_crystal_is_seen_in_every_epoch():
    order = BatchOrder(INDEX, batch_size=4, seed=3)
    for epoch in range(3):
        steps = range(epoch * order.batches_per_epoch, (epoch + 1) * order.batches_per_epoch)
        seen = np.concatenate([order.batch(step)[1] for step in steps])
        assert set(seen) == set(range(len(INDEX)))


def test_a_batch_has_one_shape_and_full_size():
    order = BatchOrder(INDEX, batch_size=4, seed=3)
    for step in range(20):
        shape, members = order.batch(step)
        assert (INDEX[members] == shape).all()
        assert len(members) == 4


def test_a_step_does_not_depend_on_the_steps_before():
    first, second = (BatchOrder(INDEX, batch_size=4, seed=3) for _ in range(2))
    for step in range(9):
        first.batch(step)
    np.testing.assert_array_equal(first.batch(9)[1], second.batch(9)[1])


def test_seeds_and_epochs_differ():
    order, other = (BatchOrder(np.zeros(64, int), batch_size=64, seed=s) for s in (0, 1))
    assert (order.batch(0)[1] != other.batch(0)[1]).any()
    assert (order.batch(0)[1] != order.batch(1)[1]).any()


def test_validation_counts_every_crystal_once():
    order = BatchOrder(INDEX, batch_size=4, seed=3, repeat=False)
    batches = [order.batch(step)[1] for step in range(order.batches_per_epoch)]
    assert all(len(members) == 4 for members in batches)
    seen = np.concatenate(batches)
    assert sorted(seen[seen >= 0]) == list(range(len(INDEX)))
    assert (seen == NOBODY).sum() == 4 * order.batches_per_epoch - len(INDEX)
