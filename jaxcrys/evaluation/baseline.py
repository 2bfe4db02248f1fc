"""What needs no model: the known crystals with the most similar elements, for each formula.

Any figure of structure prediction should be read beside this one: the prototype of a training
crystal alone has the right geometry for most of MP-20's test set.
"""

from collections.abc import Sequence

from jaxcrys.core.errors import InputError
from jaxcrys.crystal.types import Crystal
from jaxcrys.data.retrieval import build_retriever, retrieve
from jaxcrys.evaluation.samples import Sample, of_crystal

NAME = "nearest prototypes"


def nearest_prototypes(train: Crystal, formulas: Sequence[str], count: int) -> list[Sample]:
    """The ``count`` nearest substitutions for each different formula that has any, in order."""
    retriever = build_retriever(train)
    samples = []
    for number, formula in enumerate(dict.fromkeys(formulas)):
        try:
            found = retrieve(retriever, formula, count)
        except InputError:  # of a kind that no known crystal has
            continue
        samples += [of_crystal(one.crystal, f"{number}/{rank}") for rank, one in enumerate(found)]
    return samples
