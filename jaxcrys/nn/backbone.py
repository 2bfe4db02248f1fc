"""What recipes ask of a network, whichever it is.

A backbone reads crystals on their way through noise and time, and says for each site and each
lattice where to go. Recipes give its answer a meaning: a velocity, a score, a noise. Which network
it is follows from the type of its config, so that any recipe runs on any of them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree
from jaxcrys.core.typing import ArrayLike, Float, Key
from jaxcrys.crystal.buckets import Cost, full_cell_cost, orbit_cost
from jaxcrys.crystal.expand import atomic_length
from jaxcrys.crystal.orbit_graph import GraphShape, OrbitGraph, orbit_graph
from jaxcrys.crystal.primitive import CellShape, primitive_cell
from jaxcrys.crystal.types import Crystal
from jaxcrys.geometry.lattice import BASIS, matrix_from_coefficients
from jaxcrys.nn import cspnet, orbit_net
from jaxcrys.nn.cspnet import CSPNetConfig, run_cspnet
from jaxcrys.nn.fresh import fresh_parameters
from jaxcrys.nn.orbit_net import OrbitNetConfig, OrbitNetOutput, run_orbit_net
from jaxcrys.symmetry.tables import load_tables, lookup
from jaxcrys.symmetry.tangent import orbit_mean, pull_back

BackboneConfig = OrbitNetConfig | CSPNetConfig
"""Settings of any of the networks; their field ``kind`` tells them apart in JSON."""


@pytree
class BackboneOutput:
    """What a network says about a batch.

    Attributes:
        lattice: changes of the six lattice coefficients, in the units of ``standard``.
        free: changes of the free coordinates.
        species: logits of each site's element; class 0 is no atom.
    """

    lattice: Float[ArrayLike, "b 6"]
    free: Float[ArrayLike, "b s 3"]
    species: Float[ArrayLike, "b s z"]


def validate_backbone(config: BackboneConfig) -> None:
    """Check the settings.

    Raises:
        InputError: naming the setting that cannot be used.

    Example:
        >>> validate_backbone(CSPNetConfig())
    """
    if isinstance(config, OrbitNetConfig):
        orbit_net.validate(config)
    else:
        cspnet.validate(config)


def backbone_cost(config: BackboneConfig) -> Cost:
    """What a crystal of some shape costs on a network.

    Example:
        >>> backbone_cost(OrbitNetConfig())(2, 6, 4)
        12
    """
    return orbit_cost if isinstance(config, OrbitNetConfig) else full_cell_cost


def init_backbone(key: Key[jax.Array, ""], config: BackboneConfig) -> Any:
    """Fresh parameters of a network.

    Example:
        >>> params = init_backbone(jax.random.key(0), CSPNetConfig(layers=1, channels=4))
        >>> list(params)
        ['params']
    """

    def init(key: jax.Array) -> Any:
        crystal = Crystal(
            group=jnp.ones(1, jnp.int32),
            wyckoff=jnp.ones((1, 1), jnp.int32),
            species=jnp.ones((1, 1), jnp.int32),
            free=jnp.zeros((1, 1, 3)),
            lattice=jnp.zeros((1, 6)),
        )
        shape = CellShape(sites=1, atoms=1, images=1)
        told = jnp.zeros(1), jnp.zeros((1, config.properties))
        if isinstance(config, OrbitNetConfig):
            graph = _graph(config, crystal, shape)
            return orbit_net.OrbitNet(config).init(key, crystal, graph, *told)
        cell = primitive_cell(crystal, shape)
        return cspnet.CSPNet(config).init(key, cell, crystal.lattice, *told)

    return fresh_parameters(init, key)


def run_backbone(
    config: BackboneConfig,
    params: Any,
    crystal: Crystal,
    standard: Float[ArrayLike, "b 6"],
    time: Float[ArrayLike, "b"],
    *,
    shape: CellShape,
    properties: Float[ArrayLike, "b p"] | None = None,
    dropout: Key[jax.Array, ""] | None = None,
) -> BackboneOutput:
    """Run a network on a batch of crystals.

    Args:
        config: which network, and its size.
        params: from :func:`init_backbone`.
        crystal: the crystals as they are now; element 0 is an unknown one.
        standard: their lattice coefficients in numbers of order one.
        time: as a number of order 1 to 1000.
        shape: static sizes of the batch.
        properties: that are told, standardised; NaN where not known.
        dropout: key of the dropout; without one nothing is dropped.
    """
    if isinstance(config, OrbitNetConfig):
        graph = _graph(config, crystal, shape)
        output = run_orbit_net(
            config, params, crystal, graph, time, properties=properties, dropout=dropout
        )
        return _of_sites(crystal, output)
    cell = primitive_cell(crystal, shape)
    output = run_cspnet(config, params, cell, standard, time, properties)
    num_sites = crystal.wyckoff.shape[-1]
    atoms = (cell.site, cell.mask)
    return BackboneOutput(
        lattice=output.lattice,
        free=pull_back(output.vectors, cell.row, *atoms, num_sites=num_sites),
        species=orbit_mean(output.logits, *atoms, num_sites=num_sites),
    )


def _of_sites(crystal: Crystal, output: OrbitNetOutput) -> BackboneOutput:
    """Bring vectors to free coordinates and the tensor to coefficients.

    Vectors, in units of the cube root of the volume per atom, become changes of the free
    coordinates by the lattice and the integer left inverse of the tangent basis; the tensor becomes
    a change of the lattice coefficients by the basis B_i.
    """
    inverse = matrix_from_coefficients(-crystal.lattice)
    length = atomic_length(crystal)[:, None, None]
    frac = (length * output.vectors)[..., :, None] * inverse[:, None]
    left = lookup(load_tables().position_left_inverse, crystal.wyckoff).astype(frac.dtype)
    basis = np.asarray(BASIS, output.tensor.dtype)
    return BackboneOutput(
        lattice=jnp.einsum("bij,kij->bk", output.tensor, basis),
        free=(left * frac.sum(-2)[..., None, :]).sum(-1),
        species=output.logits,
    )


def _graph(config: OrbitNetConfig, crystal: Crystal, shape: CellShape) -> OrbitGraph:
    size = GraphShape(atoms=shape.atoms, neighbours=config.neighbours, reach=config.reach)
    return orbit_graph(crystal, size, cutoff=config.cutoff)
