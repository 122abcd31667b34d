"""Harsher conditions than users run under: several devices, no rank promotion, fixed examples, one thread a worker."""

import os
import pathlib

# Read by XLA at its first use, so they are set before anything imports jax. Workers of pytest-xdist already share the
# cores: a thread pool in each would only make them wait for one another. Four devices on one host suffice for a 2 x 2
# mesh.
_FLAGS = "--xla_force_host_platform_device_count=4 --xla_cpu_multi_thread_eigen=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()
os.environ["JAX_PLATFORMS"] = "cpu"
# Most of the suite's time goes into compiling. Workers, child processes and later runs share what they compile; the key
# of an entry is the program, the compiler and its flags, so a change of the code is never hidden.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(pathlib.Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import contextlib
from collections.abc import Iterator

import hypothesis
import jax
import numpy as np
import pytest

# Timing says nothing under xdist, so there is no deadline; the examples are the same on every machine and every day.
hypothesis.settings.register_profile("ci", max_examples=8, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=300, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def promotion(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbids rank promotion (unless marked `loose`) and, for tests marked `strict`, implicit dtype promotion."""
    with contextlib.ExitStack() as stack:
        if request.node.get_closest_marker("loose") is None:
            stack.enter_context(jax.numpy_rank_promotion("raise"))
        if request.node.get_closest_marker("strict") is not None:
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
        yield


@pytest.fixture
def draw() -> np.random.Generator:
    """A generator of the test's own: what it draws is the same whichever tests ran before it."""
    return np.random.default_rng(0)


@pytest.fixture
def key() -> jax.Array:
    """The key that tests start from."""
    return jax.random.key(0)
