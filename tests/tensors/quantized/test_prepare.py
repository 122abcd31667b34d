"""Which grids stay grids when they are prepared, and in which layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core._use import Use
from compressjax.tensors.quantized import _prepare
from tests import helpers
from tests.interpret import samples


@pytest.mark.usefixtures("fast_integers")
def test_what_becomes_of_each_kind() -> None:
    draw = samples.rng()
    big = (256, 256)
    kept = {
        "grid": samples.grid(draw, big, (1, 256), activation="dynamic"),
        "stored": samples.grid(draw, big, (1, 256), order=(1, 0), activation="static"),
        "table": samples.codebook(draw, *big, table=samples.grid(draw, (6,), activation="dynamic")),
        "long groups": samples.grid(draw, big, (4, 256), activation="dynamic"),
        "heads": samples.grid(draw, (256, 4, 64), (1, 4, 64), activation="dynamic"),
        "convolution": samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), activation="dynamic"),
        "factors": samples.low_rank(draw, big),
    }
    dense = {
        "masked": tensors.Masked(samples.floats(draw, 4, 4), samples.mask(draw, 4, 4)),
        "float table": samples.codebook(draw, 4, 4),
        "weight-only": samples.grid(draw, big),
        "small": samples.grid(draw, (128, 256), (1, 256), activation="dynamic"),
        "short groups": samples.grid(draw, big, (16, 256), activation="dynamic"),
        "short sums": samples.grid(draw, (3, 3, 1, 4), (1, 1, 1, 4), activation="dynamic"),
        "affine convolution": samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), affine=True, activation="dynamic"),
        "volume": samples.grid(draw, (3, 3, 3, 16, 16), (1, 1, 1, 1, 16), activation="dynamic"),
    }
    ready = jax.jit(interpret.prepare)({**kept, **dense})
    tensor, same = (jax.jit(core.materialize)(tree) for tree in ({**kept, **dense}, ready))
    for name in kept:
        node = ready[name]
        assert isinstance(node, tensors.LowRank if name == "factors" else tensors.Quantized), name
        if isinstance(node, tensors.Quantized) and node.ndim == 2:
            assert node.order == (1, 0), name
            assert node.codes.shape == (256, 256)
        samples.assert_close(same[name], tensor[name], name, 1e-6)
    for name in dense:
        assert isinstance(ready[name], jax.Array), name
        assert helpers.same_bits(ready[name], tensor[name]), name


@pytest.mark.usefixtures("fast_integers")
def test_prepared_grids_run_natively() -> None:
    draw = samples.rng()
    node = interpret.prepare(samples.grid(draw, (3, 3, 32, 40), (1, 1, 1, 40), activation="dynamic"))
    f = lambda w, x: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert samples.statuses(f, node, jnp.ones((1, 4, 4, 32))) == {("conv_general_dilated", "native")}
    groups = interpret.prepare(samples.grid(draw, (256, 256), (4, 256), activation="dynamic"))
    assert samples.statuses(lambda w, x: x @ w, groups, jnp.ones((2, 256))) == {("dot_general", "native")}


MACHINES = {"fast": _prepare.FAST, "no instructions": _prepare.NO_INSTRUCTIONS, "no kernels": _prepare.NO_KERNELS}


@pytest.mark.parametrize(
    ("shape", "rows", "kept"),
    [
        ((256, 256), 32, ["fast"]),
        ((256, 1024), 1, []),
        ((256, 1024), 32, ["fast", "no instructions", "no kernels"]),
        ((1024, 1024), 1, ["fast"]),
        ((1024, 1024), None, ["fast"]),
        ((2048, 2048), None, ["fast", "no instructions", "no kernels"]),
        ((3, 3, 32, 32), None, ["fast"]),
        ((3, 3, 128, 128), None, ["fast", "no instructions"]),
        ((256, 128, 3, 3), None, ["fast", "no instructions"]),
        ((3, 3, 256, 256), None, ["fast", "no instructions", "no kernels"]),
        ((3, 3, 1, 640), None, []),
    ],
)
def test_the_rule_by_machine_rows_and_entries(monkeypatch, shape, rows, kept):
    scale = np.ones((1,) * len(shape), np.float32)
    grid = tensors.Quantized(np.zeros(shape, np.int8), scale, activation="dynamic")
    stays = []
    for name, limits in MACHINES.items():
        monkeypatch.setattr(_prepare, "limits", lambda limits=limits: limits)
        stays += [name] * _prepare.pays(grid, Use(rows))
    assert stays == kept
    monkeypatch.setattr(_prepare, "limits", lambda: _prepare.NO_KERNELS)
    assert _prepare.pays(grid, Use(1, integers=True)) == (shape != (3, 3, 1, 640))


@pytest.mark.parametrize(
    ("backend", "instructions", "compiles", "found"),
    [
        ("cpu", ("avx512_vnni",), True, _prepare.FAST),
        ("cpu", ("avx512_vnni",), False, _prepare.NO_KERNELS),
        ("cpu", (), True, _prepare.NO_INSTRUCTIONS),
        ("gpu", (), False, _prepare.ACCELERATOR),
    ],
)
def test_the_limits_of_a_machine(monkeypatch, backend, instructions, compiles, found):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(_prepare, "int8_instructions", lambda: instructions)
    monkeypatch.setattr(_prepare, "compiles_int8", lambda: compiles)
    assert _prepare.limits() == found
