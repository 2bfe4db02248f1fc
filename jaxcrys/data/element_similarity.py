"""How alike two elements are as members of a structure type, from published facts.

Three distances, each divided by its median over pairs of the elements 1 to 94, so that a distance
is about 1 for two elements picked at random:

* ``pettifor``: the square root of the number of steps between the elements on the modified Pettifor
  scale (Glawe, Sanna, Gross and Marques 2016, New J. Phys. 18, 093011), an order of the elements in
  which neighbours replace one another in known structures. The root makes a step near an element
  weigh more than one far away: two elements in distant parts of the scale are simply unlike.
* ``properties``: Euclidean distance of electronegativity (Pauling), atomic radius (Slater) and
  column of the periodic table, each in standard deviations.
* ``substitution``: -log of the likelihood that the elements replace one another, from the ionic
  substitutions mined by Hautier et al. 2011 (Inorg. Chem. 50, 656) as pymatgen carries them: of the
  ions of two elements those that replace one another most often count, and the likelihood is
  divided by the root of what each element has with all.

Host side; the last two read pymatgen's tables.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from jaxcrys.core.elements import SYMBOLS, atomic_number
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Float, Int

_SCALE = """
    He Ne Ar Kr Xe Rn Fr Cs Rb K Na Li Ra Ba Sr Ca Eu Yb Lu Tm Y Er Ho Dy Tb Gd Sm Pm Nd Pr Ce La
    Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Sc Zr Hf Ti Ta Nb V Cr Mo W Re Tc Os Ru Ir Rh Pt Pd
    Au Ag Cu Ni Co Fe Mn Mg Zn Cd Hg Be Al Ga In Tl Pb Sn Ge Si B C N P As Sb Bi Po Te Se S O At I
    Br Cl F H
"""

MODIFIED_PETTIFOR = tuple(_SCALE.split())
"""The elements to lawrencium in the order of Glawe et al. 2016."""

MOST_ARRANGEMENTS = 40_320
"""Of eight elements in equal amounts."""

_COMMON = slice(1, 95)


def element_distances(metric: str = "pettifor") -> Float[np.ndarray, "z z"]:
    """Distances between all elements by atomic number; entry 0 stands for no atom.

    Elements that the source does not know are as far from all others as its farthest pair.

    Args:
        metric: ``"pettifor"``, ``"properties"`` or ``"substitution"``.

    Raises:
        InputError: if there is no such metric.

    Example:
        >>> distances = element_distances()
        >>> sodium, potassium, chlorine = 11, 19, 17
        >>> bool(distances[sodium, potassium] < distances[sodium, chlorine])
        True
    """
    if metric not in METRICS:
        raise InputError("metric", f"must be one of {', '.join(METRICS)}, got {metric!r}")
    return _distances(metric)


@functools.cache
def _distances(metric: str) -> Float[np.ndarray, "z z"]:
    found = METRICS[metric]()
    found = np.where(np.isnan(found), np.nanmax(found), found)
    np.fill_diagonal(found, 0)
    common = found[_COMMON, _COMMON]
    found = found / np.median(common[np.triu_indices(len(common), 1)])
    found.flags.writeable = False
    return found


def _pettifor() -> Float[np.ndarray, "z z"]:
    place = np.full(len(SYMBOLS), np.nan)
    place[[atomic_number(symbol) for symbol in MODIFIED_PETTIFOR]] = np.arange(
        len(MODIFIED_PETTIFOR)
    )
    return np.sqrt(np.abs(place[:, None] - place))


def _properties() -> Float[np.ndarray, "z z"]:
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen says which elements lack an entry
        known = [
            [getattr(Element.from_Z(z), name) for name in ("X", "atomic_radius", "group")]
            for z in range(1, len(SYMBOLS))
        ]
    values = np.array([[np.nan] * 3, *known], float)
    scaled = values / np.nanstd(values[_COMMON], axis=0)
    return np.sqrt(((scaled[:, None] - scaled) ** 2).sum(-1))


def _substitution() -> Float[np.ndarray, "z z"]:
    from pymatgen.core.structure_prediction.substitution_probability import (
        SubstitutionProbability,
    )

    table = SubstitutionProbability()
    weight = np.full((len(SYMBOLS), len(SYMBOLS)), float(table.alpha))
    species = [(ion, ion.element.Z) for ion in table.species]
    for (one, i), (other, j) in itertools.combinations_with_replacement(species, 2):
        weight[i, j] = weight[j, i] = max(weight[i, j], table.get_lambda(one, other))
    likelihood = np.exp(weight)
    total = likelihood.sum(1)
    similarity = likelihood / np.sqrt(total[:, None] * total)
    return np.log(similarity.max() / similarity)


METRICS: dict[str, Callable[[], Float[np.ndarray, "z z"]]] = {
    "pettifor": _pettifor,
    "properties": _properties,
    "substitution": _substitution,
}


def arrangements(amounts: Sequence[int]) -> Int[np.ndarray, "p e"]:
    """All orders of elements that keep the amounts: elements of equal amounts change places.

    Args:
        amounts: atoms of each element, in ascending order.

    Raises:
        InputError: if there are more than ``MOST_ARRANGEMENTS``.

    Example:
        >>> arrangements([1, 1, 3])
        array([[0, 1, 2],
               [1, 0, 2]])
    """
    counted = itertools.groupby(range(len(amounts)), key=lambda i: amounts[i])
    blocks = [list(block) for _, block in counted]
    total = np.prod([float(np.prod(np.arange(1, len(block) + 1))) for block in blocks])
    if total > MOST_ARRANGEMENTS:
        raise InputError(
            "formula",
            f"{len(amounts)} elements can be arranged in {total:.0f} ways",
            f"at most {MOST_ARRANGEMENTS} are tried: no more than eight elements in equal amounts",
        )
    chosen = itertools.product(*map(itertools.permutations, blocks))
    return np.array([list(itertools.chain(*parts)) for parts in chosen])


def composition_distances(
    query: Int[np.ndarray, "*p e"],
    others: Int[np.ndarray, "*p e"],
    amounts: Sequence[int],
    distances: Float[np.ndarray, "z z"],
) -> Float[np.ndarray, "*p"]:
    """Mean distance per atom between elements that take one another's places.

    Args:
        query: atomic numbers, any leading dimensions that broadcast.
        others: those they replace.
        amounts: atoms of each of them.
        distances: between elements.

    Example:
        >>> d = element_distances()
        >>> new, old = np.array([11, 17]), np.array([[19, 17], [19, 35]])
        >>> composition_distances(new, old, [1, 1], d).argsort().tolist()
        [0, 1]
    """
    weights = np.asarray(amounts, float) / np.sum(amounts)
    return (distances[query, others] * weights).sum(-1)
