"""Harsher conditions than users run under: several devices, no rank promotion, fixed examples, one thread a worker.

`HYPOTHESIS_PROFILE=thorough` draws more examples and compiles as users do; `make test-all` sets it.
"""

import gc
import importlib.metadata
import os
import pathlib
import sys

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
# Tracing makes many small objects: as often as Python looks for dead cycles by itself, that is a tenth of all time.
gc.set_threshold(50_000, 20, 50)
# Read by XLA at its first use, so they are set before anything imports jax. Workers of pytest-xdist already share the
# cores: a thread pool in each would only make them wait for one another. Four devices on one host suffice for a 2 x 2
# mesh.
_FLAGS = ["--xla_force_host_platform_device_count=4", "--xla_cpu_multi_thread_eigen=false"]
if PROFILE == "ci":
    # Most programs of the suite run once: making them fast takes twice as long as making them.
    _FLAGS += [
        "--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]  # fmt: skip
    if importlib.metadata.version("jaxlib") < "0.12":  # later ones know no other emitters, and refuse the flag
        _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_FLAGS]).strip()
os.environ["JAX_PLATFORMS"] = "cpu"
# Most of the suite's time goes into compiling. Workers, child processes and later runs share what they compile; the key
# of an entry is the program, the compiler and its flags, so a change of the code is never hidden.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).resolve().parents[1] / ".pytest_cache" / "xla")
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import contextlib
from collections import Counter
from collections.abc import Iterator

import hypothesis
import jax
import numpy as np
import pytest
from jax._src.interpreters import mlir

from compressjax.tensors.quantized import _prepare
from tests import accounting

if PROFILE == "ci":
    # JAX makes a context for every program: a sixth of the time of a small one, and half of the memory of a worker.
    mlir.make_ir_context = accounting.shared(mlir.make_ir_context)

# Timing says nothing under xdist, so there is no deadline; the examples are the same on every machine and every day.
hypothesis.settings.register_profile("ci", max_examples=8, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("thorough", max_examples=40, deadline=None)
hypothesis.settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    """Counts what the run costs."""
    config.pluginmanager.register(accounting.Accounts(config), "accounts")


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker a core, as far as the memory goes."""
    return accounting.fitting(accounting.cores(), accounting.free_memory())


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Lowers a number of workers that the memory does not hold."""
    asked = getattr(config.option, "numprocesses", None)
    if isinstance(asked, int) and asked > 0:
        config.option.numprocesses = accounting.fitting(asked, accounting.free_memory())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples of functions that no folder exports run in `make test-all` alone, and cases whose turn it is not."""
    seen: Counter[str] = Counter()
    for item in items:
        turns = item.get_closest_marker("turns")
        if turns and item.get_closest_marker("thorough") is None:
            name = item.nodeid.partition("[")[0]
            if seen[name] % turns.args[0]:
                item.add_marker("thorough")
            seen[name] += 1
        if isinstance(item, pytest.DoctestItem) and not public(item.name):
            item.add_marker("thorough")


def public(name: str) -> bool:
    """Whether a dotted name is a folder's, or of a function or class that its folder exports."""
    parts = name.split(".")
    hidden = next((i for i, part in enumerate(parts) if part.startswith("_")), None)
    if hidden is None:
        return True
    folder = sys.modules[".".join(parts[:hidden])]
    named = [part for part in parts[hidden:] if not part.startswith("_")]
    return bool(named) and named[0] in getattr(folder, "__all__", ())


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
def fast_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `prepare` decide as on a processor and a compiler with fast integer products, whatever runs the test."""
    monkeypatch.setattr(_prepare, "limits", lambda: _prepare.FAST)


@pytest.fixture
def key() -> jax.Array:
    """The key that tests start from."""
    return jax.random.key(0)
