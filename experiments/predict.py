"""Propose the structures of a formula, on the hardware that a file describes or as it is.

    python experiments/predict.py --run RUN --formula BaTiO3 --keep 10 --out BaTiO3
        [--hardware tpu_configs/gpu-1.yaml] [options of 'jaxcrys predict']

What:     'jaxcrys predict', after JAX was set up as the hardware file says if one is given.
          ``formulas.py`` does the same for a whole test set, and scores it.
Data:     RUN is a run of orbit (``jaxcrys join``) or a released model; without --run, the model
          that comes with jaxcrys.
Time:     not measured.
Expected: for formulas of binary and ternary test crystals of MP-20, by orbit trained on mix_20, the
          true crystal is matched by the first structure in 59.7 ± 1.6 %, by one of five in 81.3 and
          by one of twenty in 88.2 % (docs/results.md, 'Structure prediction from the formula
          alone').

An interrupted call goes on where it stopped.
"""

from jaxcrys.cli.on_hardware import run_on_hardware

if __name__ == "__main__":
    run_on_hardware("predict", __doc__.splitlines()[0])
