"""Shared test set-up, before JAX starts: eight CPU devices, and programs that compile fast."""

import os

# Most of the time of the tests is compiling, little of it running: without LLVM's optimisations it
# takes 40 % less. Those of XLA itself, which are what changes results, stay. JAX's persistent cache
# of programs is no help here: now and then a process that writes to it dies.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

import jax

jax.config.update("jax_num_cpu_devices", 8)
