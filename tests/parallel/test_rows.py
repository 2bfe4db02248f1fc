"""A function of rows through both strategies, on one device and on eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.parallel import blocks
from jaxcrys.parallel.blocks import in_blocks
from jaxcrys.parallel.rows import ROW_STRATEGIES, compile_rows

ROWS = np.arange(12, dtype=np.float32)


@pytest.mark.parametrize("strategy", ROW_STRATEGIES)
@pytest.mark.parametrize("devices", [1, 6, 8])
def test_rows_lie_on_the_devices_and_keep_their_order(monkeypatch, strategy, devices):
    monkeypatch.setattr(blocks, "working_devices", lambda: jax.devices()[:devices])
    seen = []

    def draw(scale, keys, rows, *, power):
        noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
        return {"scaled": scale * rows**power, "noise": noise}

    program = compile_rows(draw, "power", strategy=strategy)

    def call(rows):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), rows.astype(jnp.int32))
        found = program(3.0, keys, rows, power=2)
        seen.append(len(found["scaled"].devices()))
        return found

    found = in_blocks(call, ROWS, size=4, split=strategy == "sharded")
    np.testing.assert_array_equal(found["scaled"], 3 * ROWS**2)
    for row in range(len(ROWS)):
        alone = jax.random.normal(jax.random.fold_in(jax.random.key(0), row), (2,))
        np.testing.assert_allclose(found["noise"][row], alone, rtol=1e-6)
    assert seen == [np.gcd(4, devices)] * 3


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="must be one of sharded, pmap, got 'other'"):
        compile_rows(lambda common, rows: rows, strategy="other")
