"""Nequix, an equivariant potential (Koker and Smidt 2025, arXiv:2508.16067), on asymmetric units.

A network of NequIP's kind (Batzner et al. 2022): features of atoms are irreducible representations
of degree l ≤ 3 and parity (-1)^l; a message is the tensor product of the sender's features with the
spherical harmonics of the edge, each path weighted by a perceptron of the distance:

    m_ij = w_path(r_ij) · [x_j ⊗ Y(r̂_ij)],    x_i ← gate(norm(W Σ_j m_ij / √n̄ + W' x_i))

Here only representatives receive. A sender is the image of a site, and has that site's features
turned by its operation's rotation, so that the energies are exactly those of the full cell.

Arrays: n sites, p images, e edges, c channels, m = 2l+1 components.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxcrys.core.pytree import pytree, static
from jaxcrys.core.typing import Float
from jaxcrys.crystal.orbit_graph import envelope
from jaxcrys.crystal.packed import Packed
from jaxcrys.potentials.irreps import coupling, rotation_matrices, site_projectors
from jaxcrys.symmetry.tables import lookup

Features = dict[int, Any]
"""Arrays [·, c, m] by degree."""


@pytree
class NequixConfig:
    """Sizes of the network, those of Nequix-MP-1 by default.

    Attributes:
        elements: atomic numbers, in the order of the embedding.
        channels: number of features of each degree.
        degree: highest degree of the spherical harmonics.
        layers: rounds of messages.
        cutoff: Å.
        radial: Bessel functions of the distance.
        envelope_order: of the polynomial that ends them at the cutoff.
        neighbours: n̄, the mean number of neighbours in training.
        scale, shift: of the energies of atoms, eV.
    """

    elements: tuple[int, ...] = static()
    channels: tuple[int, ...] = static(default=(128, 64, 32, 32))
    degree: int = static(default=3)
    layers: int = static(default=4)
    cutoff: float = static(default=6.0)
    radial: int = static(default=8)
    envelope_order: int = static(default=6)
    neighbours: float = static(default=1.0)
    scale: float = static(default=1.0)
    shift: float = static(default=0.0)


def layer_channels(config: NequixConfig) -> list[tuple[int, ...]]:
    """Channels by degree before the first layer and after each; the last keeps scalars only."""
    hidden = [config.channels] * (config.layers - 1)
    return [(len(config.elements),), *hidden, config.channels[:1]]


def paths(inputs: int, outputs: int, degree: int) -> list[tuple[int, int, int]]:
    """Degrees (input, harmonic, output) that couple, each below a number of degrees.

    In the order of the weights: by output, then input, then harmonic.

    Example:
        >>> paths(2, 2, 1)
        [(0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1)]
    """
    return [
        (first, second, out)
        for out in range(outputs)
        for first in range(inputs)
        for second in range(abs(first - out), min(first + out, degree) + 1, 2)
    ]


@dataclasses.dataclass(frozen=True)
class SiteEnergies:
    """The network; equal to others of the same sizes, so that these share their programs.

    Attributes:
        config: its sizes.
    """

    config: NequixConfig

    def __call__(
        self, params: Any, packed: Packed, vectors: Float[jax.Array, "e 3"]
    ) -> Float[jax.Array, "n"]:
        """Energy of one atom of each site, eV."""
        config, kind = self.config, _kinds(self.config)[packed.species]
        distance = jnp.linalg.norm(vectors, axis=-1)
        ends = envelope(distance / config.cutoff, order=config.envelope_order)
        seen = Seen(
            packed=packed,
            radial=bessel(distance, config.cutoff, config.radial) * ends[:, None],
            harmonics=spherical_harmonics(vectors / distance[:, None], config.degree),
            share=packed.alike.astype(vectors.dtype)[:, None] / np.sqrt(config.neighbours),
        )
        features = {0: jax.nn.one_hot(kind, len(config.elements), dtype=vectors.dtype)[..., None]}
        first, *middle, last = params["layers"]
        features = message_layer(first, features, seen, config)
        if middle:  # of one shape: compiled once
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *middle)
            features, _ = jax.lax.scan(
                lambda old, own: (message_layer(own, old, seen, config), None), features, stacked
            )
        scalars = message_layer(last, features, seen, config)[0][..., 0]
        energy = scalars @ params["readout"][:, 0] / np.sqrt(scalars.shape[-1])
        return energy * config.scale + config.shift + params["atom_energies"][kind]


@pytree
class Seen:
    """What every layer sees of the edges.

    Attributes:
        packed: who sees whom.
        radial: functions of the distances.
        harmonics: Y of all degrees, one after the other.
        share: how many neighbours an edge stands for, over √n̄.
    """

    packed: Packed
    radial: Float[jax.Array, "e r"]
    harmonics: Float[jax.Array, "e y"]
    share: Float[jax.Array, "e 1"]


def message_layer(params: Any, features: Features, seen: Seen, config: NequixConfig) -> Features:
    """One round of messages."""
    outputs = len(params["second"])
    wiring = paths(len(features), outputs, config.degree)
    hidden = _perceptron(params["radial"], seen.radial) * seen.share
    senders = turned(_linear(params["first"], features), seen.packed)
    parts = {}
    for degree, values in senders.items():
        ways = [way for way in wiring if way[0] == degree]
        weight = hidden @ params["mix"][degree]
        weight = weight.reshape(len(weight), len(ways), -1)
        message = couple(values[seen.packed.image], seen.harmonics, weight, ways)
        total = jax.ops.segment_sum(
            message, seen.packed.receiver, num_segments=len(seen.packed.species)
        )
        sizes = [2 * out + 1 for _, _, out in ways]
        parts |= zip(ways, jnp.split(total, np.cumsum(sizes)[:-1], axis=-1), strict=True)
    gathered = {
        out: averaged(
            jnp.concatenate([parts[way] for way in wiring if way[2] == out], -2), seen.packed, out
        )
        for out in range(outputs)
    }
    own, new = _linear(params["skip"], features), _linear(params["second"], gathered)
    new = {degree: new[degree] + own[degree] if degree in own else new[degree] for degree in new}
    return _gate(_norm(params["norm"], new))


def couple(
    sender: Float[jax.Array, "e c i"],
    harmonics: Float[jax.Array, "e y"],
    weight: Float[jax.Array, "e w c"],
    ways: Sequence[tuple[int, int, int]],
) -> Float[jax.Array, "e c o"]:
    """Messages along w paths from one degree, Σ_ij C_ijo x_i Y_j times the weight of the path.

    Returns:
        The components of all paths' outputs, one path after the other.
    """
    turning = jnp.einsum("ey,yio->eio", harmonics, _couplings(tuple(ways), harmonics.shape[-1]))
    path = np.repeat(np.eye(len(ways), dtype=np.float32), [2 * out + 1 for _, _, out in ways], 1)
    # As a product: the slope of a choice of columns would be a slow scatter.
    weight = jnp.einsum("ewc,wo->eco", weight, path, precision="highest")
    return jnp.einsum("eci,eio->eco", sender, turning) * weight


@functools.cache
def _couplings(ways: tuple[tuple[int, int, int], ...], size: int) -> Float[np.ndarray, "y i o"]:
    """Clebsch-Gordan coefficients of several paths beside each other."""
    blocks = []
    for first, second, out in ways:
        block = np.zeros((size, 2 * first + 1, 2 * out + 1), np.float32)
        block[second**2 : (second + 1) ** 2] = coupling(first, second, out).swapaxes(0, 1)
        blocks.append(block)
    return np.concatenate(blocks, -1)


def turned(features: Features, packed: Packed) -> Features:
    """Features of the images: those of their sites, turned by the rotations that make them."""
    result = {}
    for degree, values in features.items():
        copied = values[packed.image_site]
        if degree:
            rotation = jnp.asarray(rotation_matrices(degree), values.dtype)[packed.image_rotation]
            copied = (copied[..., None, :] * rotation[:, None]).sum(-1)
        result[degree] = copied
    return result


def averaged(values: Float[jax.Array, "n c m"], packed: Packed, degree: int) -> jax.Array:
    """Mean over the site symmetry: makes of one neighbour of each kind all of them."""
    if degree == 0:
        return values
    mean = lookup(site_projectors(degree).astype(values.dtype), packed.wyckoff)
    return (values[..., None, :] * mean[:, None]).sum(-1)


def spherical_harmonics(direction: Float[jax.Array, "e 3"], degree: int) -> Float[jax.Array, "e y"]:
    """Real spherical harmonics of degrees 0 to ``degree``, ``|Y_l|² = 2l + 1``."""
    harmonics: Any = e3nn.spherical_harmonics(
        e3nn.s2_irreps(degree), direction, normalize=False, normalization="component"
    )
    return harmonics.array


def bessel(distance: Float[jax.Array, "e"], cutoff: float, count: int) -> Float[jax.Array, "e r"]:
    """The functions (2/r_c) sin(nπ r/r_c) / r for n = 1 … count.

    Example:
        >>> bool(jnp.allclose(bessel(jnp.array([3.0]), 6.0, 1), 1 / 9))
        True
    """
    wave = jnp.arange(1, count + 1) * np.pi
    return 2 / cutoff * jnp.sin(wave * distance[:, None] / cutoff) / distance[:, None]


def _perceptron(weights: Sequence[jax.Array], values: jax.Array) -> jax.Array:
    for matrix in weights:
        values = jax.nn.silu(values @ matrix)
    return values


def _linear(weights: dict[int, jax.Array], features: Features) -> Features:
    """A matrix for each degree, over the channels."""
    return {
        degree: jnp.einsum("ncm,cd->ndm", features[degree], matrix) / np.sqrt(matrix.shape[0])
        for degree, matrix in weights.items()
    }


def _norm(weights: dict[int, jax.Array], features: Features) -> Features:
    """Divide by the root of the mean over degrees of Σ x² / m², as the weights were trained."""
    squares = [(values**2).sum((-1, -2)) / values.shape[-1] ** 2 for values in features.values()]
    scale = jax.lax.rsqrt(sum(squares) / len(squares) + 1e-12)[:, None, None]
    return {
        degree: values * weights[degree][:, None] * scale for degree, values in features.items()
    }


def _gate(features: Features) -> Features:
    """Scalars through silu; the last of them gate the higher degrees, channel by channel."""
    activation: Any = jax.nn.silu
    silu: Any = e3nn.normalize_function(activation)
    widths = [values.shape[-2] for degree, values in features.items() if degree]
    scalars = silu(features[0])
    keep = scalars.shape[-2] - sum(widths)
    gates = jnp.split(scalars, np.cumsum([keep, *widths])[:-1], axis=-2)
    higher = (degree for degree in features if degree)
    return {0: gates[0]} | {
        degree: features[degree] * gate for degree, gate in zip(higher, gates[1:], strict=True)
    }


def _kinds(config: NequixConfig) -> jax.Array:
    """Place of each atomic number in the embedding; those unknown are refused before."""
    table = np.zeros(119, np.int32)
    table[list(config.elements)] = np.arange(len(config.elements))
    return jnp.asarray(table)
