"""How exact the likelihood of templates is, and how long it takes, by the number of sets read.

    python benchmarks/likelihood.py RUN DATASET [--num 600] [--sets 4096 1024 256 64 16]

RUN is a run of orbit or wyformer. The probability of a template is a sum over the orders of its
sites, by a recursion over sets of them (``recipes.template_likelihood``); where a template has more
sets than are read, a part is drawn. Printed are the share of exact values, the deviations of all
from those with the largest number of sets, and the seconds for a thousand, compiling not included.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from jaxcrys.core.pytree import take
from jaxcrys.crystal import load_crystals
from jaxcrys.recipes.library import load_model


def main() -> None:
    """Print a line for each number of sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--num", type=int, default=600)
    parser.add_argument("--sets", type=int, nargs="+", default=[4096, 1024, 256, 64, 16])
    given = parser.parse_args()
    model, crystals = load_model(given.run), load_crystals(given.dataset)
    crystals = take(crystals, np.arange(min(given.num, len(crystals.group))))
    likelihood = model.config.functions.likelihood
    assert likelihood is not None
    best = None
    print("sets   exact    mean deviation   rms deviation   s for 1,000")
    for most_sets in sorted(given.sets, reverse=True):
        for _ in range(2):  # the first call compiles
            begin = time.perf_counter()
            found = likelihood(
                model.params, crystals, config=model.config.settings, equivalents=True,
                most_sets=most_sets,
            )  # fmt: skip
            seconds = time.perf_counter() - begin
        best = found.log_prob if best is None else best
        off = found.log_prob - best
        print(
            f"{most_sets:<6} {found.exact.mean():<8.1%} {off.mean():<16.3f} "
            f"{np.sqrt((off**2).mean()):<15.3f} {1000 * seconds / len(off):.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
