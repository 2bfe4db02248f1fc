"""Shared test set-up, before JAX starts: eight CPU devices, and each program compiled once."""

import atexit
import os
import shutil
import tempfile

# Most of the time of the tests is compiling, little of it running: without LLVM's optimisations it
# takes 40 % less. Those of XLA itself, which is what changes results, stay.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

import jax

jax.config.update("jax_num_cpu_devices", 8)

# Many tests run the same program in runs of their own; compiling is most of their time.
_cache = tempfile.mkdtemp(prefix="jaxcrys-tests-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", _cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
