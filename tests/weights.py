"""A small network in the format of Nequix's weights, with random numbers in it."""

import io
import json

import numpy as np

SETTINGS = {
    "atomic_numbers": list(range(1, 95)),
    "hidden_irreps": "6x0e + 4x1o + 3x2e + 2x3o",
    "lmax": 3,
    "cutoff": 4.5,
    "n_layers": 3,
    "radial_basis_size": 5,
    "radial_mlp_size": 8,
    "radial_mlp_layers": 2,
    "radial_polynomial_p": 6.0,
    "index_weights": False,
    "layer_norm": True,
    "shift": 0.1,
    "scale": 0.8,
    "avg_n_neighbors": 30.0,
}


def small_file(settings=SETTINGS, *, shapes=None):
    """A file as Nequix writes it, with random numbers: the sizes of its arrays by hand."""
    random = np.random.default_rng(0)
    first = [(5, 8), (8, 8), (8, 4 * 94), (94, 94), (94, 15), (94, 4), (94, 3), (94, 2), (94, 15)]
    norm = [(15,), (4,), (3,), (2,)]
    # Paths to 0: from 0, 1, 2, 3; to 1: 0, 1 twice, 2 twice, 3; to 2: 0, 1 twice, 2 twice, 3 twice;
    # to 3: 0, 1, 2 twice, 3 twice.
    widths = [6 + 4 + 3 + 2, 6 + 8 + 6 + 2, 6 + 8 + 6 + 4, 6 + 4 + 6 + 4]
    own = [(6, 6), (4, 4), (3, 3), (2, 2)]
    second = list(zip(widths, (15, 4, 3, 2), strict=True))
    middle = [(5, 8), (8, 8), (8, sum(widths)), *own, *second, (6, 15), *own[1:]]
    last = [(5, 8), (8, 8), (8, widths[0]), *own, (widths[0], 6), (6, 6)]
    shapes = shapes or [(94,), *first, *norm, *middle, *norm, *last, (6,), (6, 1)]
    file = io.BytesIO()
    file.write(json.dumps(settings).encode() + b"\n")
    for shape in shapes:
        np.save(file, random.normal(size=shape).astype(np.float32))
    return file.getvalue()
