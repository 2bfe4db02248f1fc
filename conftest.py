"""Shared test set-up, before JAX starts: eight CPU devices, and programs that compile fast."""

import gc
import os

# Most of the time of the tests is compiling, and most of that LLVM's. Level 1 of its optimisations
# takes a quarter of the time of XLA's usual level 3, XLA's older code generator a third less again,
# short vectors a tenth less, loops that LLVM neither unrolls nor rewrites another quarter. What
# would save more is not to be trusted on CPU: without optimisations (level 0) programs give wrong
# results, and processes that share a persistent cache of programs now and then die. The canary in
# `test_project.py` runs with these flags and with the defaults.
os.environ["XLA_FLAGS"] = " ".join(
    [
        *os.environ.get("XLA_FLAGS", "").split(),
        "--xla_backend_optimization_level=1",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_max_isa=SSE4_2",
        "--xla_cpu_parallel_codegen_split_count=1",  # each process has one core
        "--xla_backend_extra_options=-disable-lsr,-unroll-threshold=0,-force-vector-interleave=1",
    ]
)

import jax

jax.config.update("jax_num_cpu_devices", 8)

# Tracing makes and forgets a great many objects: looking for cycles less often saves a twentieth.
gc.set_threshold(100_000, 50, 100)

LONG_FIRST = (
    "tests/training", "tests/recipes", "tests/cli", "tests/sampling", "tests/nn",
    "tests/potentials", "tests/relaxation", "tests/evaluation",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Files that take long go first, so that no process has one left when the others are done."""

    def place(item):
        path = item.path.relative_to(item.config.rootpath).as_posix()
        folders = (number for number, name in enumerate(LONG_FIRST) if path.startswith(name))
        return next(folders, len(LONG_FIRST))

    items.sort(key=place)
