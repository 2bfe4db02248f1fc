"""Relax crystals with a potential, on the hardware that a file describes or as it is.

    python experiments/relax.py crystals --out relaxed [--potential nequix-mp-1] [--hull hull.json]
        [--hardware tpu_configs/gpu-1.yaml] [options of 'jaxcrys relax']

What:     'jaxcrys relax', after JAX was set up as the hardware file says if one is given: free
          coordinates and lattice go down in energy, groups and positions stay what they are.
Data:     a generated set, a dataset, or files of crystals.
Time:     on one CPU core with other work beside it 1.3 s a crystal of orbit, 4.6 of diffcsp_pp.
          Never run on a GPU or a TPU.
Expected: of 1,000 crystals of orbit trained on mix_20, 93.8 % converge in 500 steps, 9 in the
          median, and the median energy above a hull of mix_20 falls from 0.37 to 0.14 eV/atom
          (docs/results.md, 'Relaxation').

An interrupted call goes on where it stopped.
"""

from jaxcrys.cli.on_hardware import run_on_hardware

if __name__ == "__main__":
    run_on_hardware("relax", __doc__.splitlines()[0])
