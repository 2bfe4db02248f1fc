"""Shared test set-up: eight CPU devices, before JAX starts."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
