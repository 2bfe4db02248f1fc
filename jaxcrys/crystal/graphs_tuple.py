"""Orbit graphs as jraph's GraphsTuple, so that any graph network can be put on them.

Nodes are the occupied sites, one crystal after the other; an edge leads from the site whose image
is seen to the site that sees it. As in jraph, what is left of the static sizes belongs to one more
graph at the end, and edges there join its first node to itself.
"""

import jax
import jax.numpy as jnp
import jraph

from jaxcrys.core.typing import ArrayLike, Float, Int
from jaxcrys.crystal.orbit_graph import OrbitGraph
from jaxcrys.crystal.types import Crystal
from jaxcrys.symmetry.rotations import rotation_index


def to_jraph(crystal: Crystal, graph: OrbitGraph) -> jraph.GraphsTuple:
    """A batch of orbit graphs as one GraphsTuple; pure, for jit.

    Returns:
        A tuple of b + 1 graphs, b·s + 1 nodes and b·s·e edges, the last graph being the padding.
        Nodes carry ``species`` and ``wyckoff``; edges ``vector`` (Å, from receiver to sender),
        ``distance``, ``weight`` and ``rotation``, the number of the Cartesian rotation
        (``symmetry.rotations``) that turns the sender's features into those of its image; graphs
        carry ``group``.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> from jaxcrys.crystal.orbit_graph import GraphShape, orbit_graph
        >>> crystals = stack_crystals([example_crystal()], capacity=3)
        >>> search = jax.jit(orbit_graph, static_argnames="shape")
        >>> graph = search(crystals, shape=GraphShape(atoms=2, neighbours=6))
        >>> graphs = jax.jit(to_jraph)(crystals, graph)
        >>> graphs.n_node.tolist(), graphs.n_edge.tolist()
        ([2, 2], [12, 6])
    """
    used = jnp.asarray(crystal.wyckoff) > 0
    order, place = _compact(used)
    exists = (graph.weight > 0) & used[..., None]
    edge_order, _ = _compact(exists)
    batch, sites = used.shape
    site = jnp.take_along_axis(graph.atom_site[:, None], graph.atom, -1)
    offset = sites * jnp.arange(batch)[:, None, None]
    senders = place[(offset + site).reshape(-1)]
    receivers = place[jnp.broadcast_to(
        (offset[..., 0] + jnp.arange(sites))[..., None], graph.atom.shape).reshape(-1)]  # fmt: skip
    row = jnp.take_along_axis(graph.atom_row[:, None], graph.atom, -1)
    real = exists.reshape(-1)
    first_padding = used.sum()

    def edges(values: ArrayLike) -> jax.Array:
        flat = jnp.asarray(values).reshape(real.size, *jnp.shape(values)[3:])
        keep = real.reshape(-1, *[1] * (flat.ndim - 1))
        return jnp.where(keep, flat, 0)[edge_order]

    def nodes(values: ArrayLike) -> jax.Array:
        flat = jnp.asarray(values).reshape(-1)[order]
        return jnp.concatenate([flat, jnp.zeros(1, flat.dtype)])

    return jraph.GraphsTuple(
        nodes={"species": nodes(crystal.species), "wyckoff": nodes(crystal.wyckoff)},
        edges={
            "vector": edges(graph.vector),
            "distance": edges(graph.distance),
            "weight": edges(graph.weight),
            "rotation": edges(rotation_index(row)),
        },
        senders=jnp.where(real, senders, first_padding)[edge_order],
        receivers=jnp.where(real, receivers, first_padding)[edge_order],
        n_node=_with_rest(used.sum(-1), used.size + 1),
        n_edge=_with_rest(exists.sum((-1, -2)), real.size),
        globals={"group": jnp.concatenate([jnp.asarray(crystal.group), jnp.zeros(1, jnp.int32)])},
    )


def from_jraph(values: Float[ArrayLike, "n *c"], crystal: Crystal) -> Float[jax.Array, "b s *c"]:
    """Values of the nodes of :func:`to_jraph` at the sites they stand for; 0 in empty slots.

    Example:
        >>> from jaxcrys.crystal import example_crystal, stack_crystals
        >>> crystals = stack_crystals([example_crystal()], capacity=3)
        >>> from_jraph(jnp.array([5.0, 6.0, 7.0, 8.0]), crystals).tolist()
        [[5.0, 6.0, 0.0]]
    """
    used = jnp.asarray(crystal.wyckoff) > 0
    _, place = _compact(used)
    back = jnp.asarray(values)[place].reshape(*used.shape, *jnp.shape(values)[1:])
    return jnp.where(used.reshape(*used.shape, *[1] * (back.ndim - 2)), back, 0)


def _compact(mask: ArrayLike) -> tuple[Int[jax.Array, "n"], Int[jax.Array, "n"]]:
    """The order that puts what exists first, and where each entry goes in it."""
    order = jnp.argsort(~mask.reshape(-1), stable=True)
    return order, jnp.argsort(order)


def _with_rest(counts: Int[jax.Array, "b"], total: int) -> Int[jax.Array, "b+1"]:
    return jnp.concatenate([counts, total - counts.sum(keepdims=True)])
