"""Shared test set-up, before JAX starts: eight CPU devices, and programs that compile fast."""

import os

# Most of the time of the tests is compiling. XLA's older code generator takes a third less than the
# default, and gave the same numbers to the last bit where both were tried. What would save more is
# not to be trusted on CPU: without LLVM's optimisations (`xla_backend_optimization_level=0`)
# programs give wrong results, and processes that share a persistent cache of programs now and then
# die. The canary in `test_project.py` runs with the default too.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import jax

jax.config.update("jax_num_cpu_devices", 8)
