"""8-bit moments: Adam within the rounding of a block, and a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, precision
from compressjax.precision._blocks import Blocks, pack, unpack
from tests import toys

B1, B2, EPS, BLOCK = 0.9, 0.99, 1e-8, 32


def test_every_step_is_adam_on_what_was_kept(draw):
    grads = draw.normal(size=(4, 8, 12)).astype(np.float32)
    tx = precision.scale_by_adam_8bit(B1, B2, EPS, block=BLOCK, min_size=0)
    state = tx.init({"w": jnp.zeros((8, 12))})
    step = jax.jit(tx.update)
    m, v = np.zeros((8, 12), np.float32), np.zeros((8, 12), np.float32)
    for t, g in enumerate(grads, 1):
        updates, state = step({"w": g}, state)
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        exact = m / (1 - B1**t) / (np.sqrt(v / (1 - B2**t)) + EPS)
        np.testing.assert_allclose(updates["w"], exact, rtol=1e-4)
        kept = [unpack(Blocks(state.mu["w"], state.mu_scale["w"]), BLOCK, "dynamic"),
                unpack(Blocks(state.nu["w"], state.nu_scale["w"]), BLOCK, "dynamic")]  # fmt: skip
        for moment, got, signed in zip((m, v), kept, (True, False), strict=True):
            # No entry is further from its level than half of a step of the coarsest decade, 0.45 / 2^i of its power.
            top = np.abs(moment.reshape(-1, BLOCK)).max(1).repeat(BLOCK).reshape(8, 12)
            decade = np.clip(np.ceil(np.log10(np.maximum(np.abs(moment) / top, 1e-7))), -6, 0)
            bound = 10.0**decade * top * 0.45 / 2.0 ** (6 + decade + (not signed)) * 1.01
            assert (np.abs(got - moment) <= 10 * bound).all()
            assert np.mean(np.abs(got - moment) <= bound) > 0.9
        m, v = (np.asarray(x) for x in kept)
    assert state.mu["w"].dtype == jnp.int8
    assert state.nu["w"].dtype == jnp.uint8
    assert int(state.step) == 4


def test_a_quarter_of_the_bytes():
    params = {"kernel": jnp.zeros((64, 256)), "bias": jnp.zeros(256)}
    eight = jax.eval_shape(precision.scale_by_adam_8bit().init, params)
    full = jax.eval_shape(optax.scale_by_adam().init, params)

    def size(tree):
        return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))

    assert size((eight.mu["kernel"], eight.nu["kernel"])) * 4 == size((full.mu["kernel"], full.nu["kernel"]))
    assert size((eight.mu_scale["kernel"], eight.nu_scale["kernel"])) == 2 * 4 * 64 * 256 // 2048
    assert eight.mu["bias"].dtype == jnp.float32
    assert eight.mu_scale["bias"].size == 0


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_that_of_optax_on_exact_values(nesterov):
    """Where a block has one magnitude, every level is exact."""
    grads = {"w": jnp.array([[1.0, -1.0], [1.0, 1.0]])}
    ours, theirs = precision.trace_8bit(0.5, nesterov=nesterov, min_size=0), optax.trace(0.5, nesterov)
    a, b = ours.init(grads), theirs.init(grads)
    for _ in range(3):
        got, a = ours.update(grads, a)
        exact, b = theirs.update(grads, b)
        np.testing.assert_allclose(got["w"], exact["w"], rtol=0.01)
        assert got["w"][0, 0] == exact["w"][0, 0]


def test_a_stopped_gradient_is_not_divided_by_nothing():
    """The second moment of an entry far below its block stays above zero, so that its update stays small."""
    grads = {"w": jnp.array([1.0, 1e-4, 1e-5, 0.0])}
    tx = precision.scale_by_adam_8bit(block=4, min_size=0)
    _, state = tx.update(grads, tx.init(grads))
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, grads), state)
    assert np.abs(updates["w"]).max() < 1
    assert updates["w"][3] == 0


def test_masked_weights_have_no_moments():
    tx = core.as_optax(toys.mask(0.5), precision.scale_by_adam_8bit(block=4, min_size=0))
    params = {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]])}
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update({"kernel": jnp.ones((2, 2))}, state, params)
    kept = np.asarray(state.compression.mask["kernel"])
    assert kept.sum() == 2
    assert (np.asarray(updates["kernel"])[~kept] == 0).all()
    assert ((np.asarray(state.inner.mu["kernel"]) != 0) == kept).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="code='log' must be one of dynamic, linear"):
        precision.scale_by_adam_8bit(code="log")
    with pytest.raises(ValueError, match=r"decay=1.0 must be in \[0, 1\)"):
        precision.trace_8bit(1.0)
    assert pack(jnp.ones(3), 2, "linear", True).scale.shape == (2,)
