"""The kernel for weight-only codes: interpreted against the dense product, and lowered for an accelerator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core import Dense, Product
from compressjax.tensors.quantized import _fused
from tests import helpers
from tests.interpret import samples

ROWS = Product((1,), (), (0,), ())


def node(bits: int, affine: bool, groups: int = 2) -> tensors.Quantized:
    """Packed codes of 512 inputs and 128 outputs."""
    return samples.grid(samples.rng(), (512, 128), (groups, 128), bits=bits, affine=affine, order=(1, 0)).pack()


@pytest.mark.turns(2)
@pytest.mark.parametrize("affine", [False, True], ids=["symmetric", "affine"])
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_the_kernel_is_the_dense_product(bits: int, affine: bool) -> None:
    """Signed and unsigned codes, one to four in a byte, by group; rows that do not fill a block."""
    w, x = node(bits, affine), samples.floats(samples.rng(1), 2, 9, 512)
    assert jnp.iinfo(w.codes.dtype).bits == bits
    got = _fused.product(x, w, jnp.float32, "interpreted")
    samples.assert_close(got, helpers.float64(x) @ helpers.float64(w.materialize()), tolerance=2e-6)


def test_derivatives_are_those_of_the_dense_product() -> None:
    w, x = node(4, False, groups=1), samples.floats(samples.rng(1), 3, 512)
    dense = w.materialize()
    got = jax.grad(lambda x: jnp.sum(jnp.sin(_fused.product(x, w, jnp.float32, "interpreted"))))(x)
    samples.assert_close(got, jax.grad(lambda x: jnp.sum(jnp.sin(x @ dense)))(x), tolerance=1e-4)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
def test_an_accelerator_runs_the_kernel_on_packed_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GPU as the backend, `prepare` keeps the codes, and `lift` lowers to a Triton kernel."""
    w = samples.grid(samples.rng(), (512, 128), (2, 128), bits=4)
    x = jnp.ones((3, 512))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    ready = core.ops.prepare(w)
    assert (ready.order, ready.codes.dtype) == ((1, 0), jnp.int4)
    assert samples.statuses(lambda w, x: x @ w, ready, x) == {("dot_general", "native")}
    lowered = jax.jit(interpret.lift(lambda w, x: x @ w)).trace(ready, x).lower(lowering_platforms=("cuda",))
    text = lowered.as_text()
    assert text.count("triton") >= 1
    assert "512x128xf32" not in text
    assert "128x512xf32" not in text


def test_what_the_kernel_does_not_take_is_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    x = jnp.ones((3, 512))
    on_cpu = _fused.fused_dot(x, node(4, False), ROWS)
    assert isinstance(on_cpu, Dense)
    assert "floating point" in on_cpu.reason
    draw = samples.rng()
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert "over devices" in _fused.misfit(node(4, False), "tpu")
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert not _fused.misfit(node(4, False), "tpu")
    for grid, reason in (
        (samples.grid(draw, (512, 128)), "stored as"),
        (samples.grid(draw, (512, 96), order=(1, 0)), "multiples of 128 outputs"),
        (samples.grid(draw, (96, 128), order=(1, 0)), "128 inputs"),
        (samples.grid(draw, (512, 128), (8, 128), order=(1, 0)), "groups of a multiple of 128"),
    ):
        assert reason in _fused.misfit(grid, "gpu"), reason
    assert isinstance(core.ops.prepare(node(4, False)), jax.Array)
    assert np.asarray(core.ops.prepare(node(4, False))).shape == (512, 128)
