"""Compiled programs: of networks, and such as tell how often they were traced."""

import functools

import jax


@functools.cache
def compiled(function, config, **settings):
    """A function of a network, for one config and number of sites."""
    return jax.jit(functools.partial(function, config, **settings))


def counted_gradients(loss, **settings):
    """A recipe's loss with its gradients, compiled, and a list with an entry for each trace."""
    traces = []

    @functools.wraps(loss)
    def counted(params, key, crystals):
        traces.append(1)
        return loss(params, key, crystals, **settings)

    return jax.jit(jax.value_and_grad(counted, has_aux=True)), traces
