"""Draw new crystals from a trained model, on the hardware that a file describes or as it is.

    python experiments/generate.py --run RUN --num 1000 --out crystals
        [--hardware tpu_configs/gpu-1.yaml] [options of 'jaxcrys generate']

What:     'jaxcrys generate', after JAX was set up as the hardware file says if one is given.
Data:     RUN is a run or a released model; without --run, the model that comes with jaxcrys.
Time:     on one CPU core with other work beside it, compiling and the table included, 46 s at most
          for 1,000 crystals of orbit trained on mix_20, 91 s of symmcd, 312 s of diffcsp_pp.
          Never run on a GPU or a TPU.
Expected: of 5,000 of that orbit 99.7 % have no distance under 0.5 Å, 96.4 % of those different from
          each other are new, and spglib finds the group asked for at 0.001 Å in 99.0 %
          (docs/results.md, 'Crystals from nothing').

Sample i is a function of (seed, i) and of what was asked, on any hardware up to rounding. An
interrupted call goes on where it stopped.
"""

from jaxcrys.cli.on_hardware import run_on_hardware

if __name__ == "__main__":
    run_on_hardware("generate", __doc__.splitlines()[0])
