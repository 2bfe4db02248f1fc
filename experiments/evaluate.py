"""Score a set of crystals, whoever generated it, by the protocols of the field.

    python experiments/evaluate.py crystals --train TRAIN --test TEST --out report
        [options of 'jaxcrys evaluate']

What:     'jaxcrys evaluate', whose report says of each figure what it is.
Data:     a generated set or files of crystals; TRAIN and TEST are datasets of 'jaxcrys prepare'.
          Needs ``pip install '.[evaluation]'``.
Time:     10,000 crystals without a potential, 1,000 of them and of the test set with fingerprints,
          take 320 s on two CPU cores.
Expected: of binary and ternary test crystals of MP-20 themselves 89.9 ± 0.8 % of the compositions
          pass the classic rules, and 98.2 % pass LeMat-GenBench's (docs/results.md, 'Evaluation').

An interrupted call goes on where it stopped.
"""

import sys

from jaxcrys.cli.main import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
