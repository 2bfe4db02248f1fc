"""Orbit graphs in jraph: its own batching, padding and segment sums see the same graphs."""

import functools

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal.graphs_tuple import from_jraph, to_jraph
from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
from jaxcrys.crystal.primitive import num_primitive_atoms
from tests.crystals import random_crystals

CRYSTALS = jax.tree.map(
    lambda a: np.asarray(a, np.float32 if a.dtype.kind == "f" else np.int32),
    random_crystals(12, sites=4, seed=2),
)
SHAPE = GraphShape(atoms=int(num_primitive_atoms(CRYSTALS).max()), neighbours=7)


@functools.cache
def graphs():
    graph = jax.jit(orbit_graph, static_argnames="shape")(CRYSTALS, shape=SHAPE)
    return jax.device_get((graph, jax.jit(to_jraph)(CRYSTALS, graph)))


def test_sums_over_edges_are_those_of_the_dense_graph():
    graph, tuples = graphs()

    @jax.jit
    def summed(tuples):
        values = tuples.edges["weight"] * jnp.cos(tuples.edges["distance"])
        sums = jraph.segment_sum(values, tuples.receivers, len(tuples.nodes["species"]))
        return from_jraph(sums, CRYSTALS)

    expected = (graph.weight * np.cos(graph.distance) * (graph.weight > 0)).sum(-1)
    used = np.asarray(CRYSTALS.wyckoff) > 0
    np.testing.assert_allclose(summed(tuples), np.where(used, expected, 0), rtol=1e-5, atol=1e-6)


def test_senders_are_the_sites_of_the_neighbours():
    graph, tuples = graphs()
    species = np.asarray(tuples.nodes["species"])
    keep = np.asarray(graph.weight > 0)
    site = np.take_along_axis(np.asarray(graph.atom_site)[:, None], np.asarray(graph.atom), -1)
    dense = np.take_along_axis(np.asarray(CRYSTALS.species)[:, None], site, -1)
    real = int(keep.sum())
    assert species[tuples.senders[:real]].tolist() == dense[keep].tolist()
    receivers = np.broadcast_to(np.asarray(CRYSTALS.species)[:, :, None], keep.shape)
    assert species[tuples.receivers[:real]].tolist() == receivers[keep].tolist()


def test_jraph_takes_the_last_graph_for_padding():
    _, tuples = graphs()
    assert tuples.n_node.sum() == len(tuples.nodes["species"])
    assert tuples.n_edge.sum() == len(tuples.senders)
    mask = jax.jit(jraph.get_graph_padding_mask)(tuples)
    assert mask.tolist() == [True] * 12 + [False]
    np.testing.assert_array_equal(
        jax.jit(jraph.get_node_padding_mask)(tuples), np.asarray(tuples.nodes["species"]) > 0
    )
    bare = jraph.unpad_with_graphs(tuples)
    assert len(bare.nodes["species"]) == (CRYSTALS.wyckoff > 0).sum()
    assert bare.edges["weight"].min() > 0


def test_a_jraph_network_runs_on_it():
    """A GraphConvolution over the batch equals the same over each crystal alone."""
    graph, _ = graphs()

    def network(nodes):
        return jnp.tanh(nodes["species"][:, None] * jnp.arange(1.0, 4.0))

    convolve = jraph.GraphConvolution(network, symmetric_normalization=True)

    @jax.jit
    def convolved(crystals, graph):
        return from_jraph(convolve(to_jraph(crystals, graph)).nodes, crystals)

    together = np.asarray(convolved(CRYSTALS, graph))
    for i in range(12):
        alone = convolved(*(take(both, slice(i, i + 1)) for both in (CRYSTALS, graph)))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
