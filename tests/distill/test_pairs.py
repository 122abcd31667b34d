"""Shared parts of the losses against NumPy and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax.distill import _pairs


def test_weighted_mean(draw: np.random.Generator) -> None:
    x, w = draw.normal(size=(3, 2)).astype(np.float32), draw.uniform(size=(3, 1)).astype(np.float32)
    weights = _pairs.weights_of("f", w, (3, 2))
    assert weights.shape == (3, 2)
    want = np.average(x, weights=np.broadcast_to(w, x.shape))
    np.testing.assert_allclose(_pairs.weighted_mean(jnp.asarray(x), weights), want, rtol=1e-5)
    with pytest.raises(ValueError, match=r"f: weights \(2, 3\) do not broadcast to \(3, 2\)"):
        _pairs.weights_of("f", np.ones((2, 3)), (3, 2))
    with pytest.raises(ValueError, match="do not broadcast"):
        _pairs.weights_of("f", np.ones((1, 3, 2)), (3, 2))  # more axes than there are


def test_unit_and_its_gradient(draw: np.random.Generator) -> None:
    """The scale of a row is taken out without a gradient, which finite differences confirm."""
    x = draw.normal(size=(3, 4)).astype(np.float32)
    x[1] *= 1e30
    x[2] = 0
    got = _pairs.unit(jnp.asarray(x))
    np.testing.assert_allclose(got[:2], x[:2] / np.linalg.norm(x[:2].astype(float), axis=-1, keepdims=True), rtol=1e-5)
    assert not np.any(got[2])
    c = draw.normal(size=4)

    def f(row: np.ndarray) -> float:
        return float(c @ (row / np.linalg.norm(row)))

    slope = jax.grad(lambda x: jnp.sum(_pairs.unit(x) @ jnp.asarray(c, jnp.float32)))(jnp.asarray(x))
    moved = [(f(x[0] + h) - f(x[0] - h)) / 2e-5 for h in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(slope[0], moved, rtol=1e-3)
    assert not np.any(slope[2])


def test_divergence_and_huber(draw: np.random.Generator) -> None:
    p, q = (scipy.special.softmax(draw.normal(size=5)) for _ in range(2))
    got = _pairs.divergence(jnp.log(p.astype(np.float32)), jnp.log(q.astype(np.float32)))
    np.testing.assert_allclose(got, np.sum(scipy.special.rel_entr(p, q)), rtol=1e-5)
    errors = np.array([-3.0, -0.5, 0.0, 2.0], np.float32)
    np.testing.assert_allclose(_pairs.huber(jnp.asarray(errors), 1.5), scipy.special.huber(1.5, errors), rtol=1e-6)


def test_examples_and_pairs() -> None:
    x, y = jnp.ones((3, 2, 2)), jnp.ones((3, 5))
    found = _pairs.examples("f", x, y, [1, 0, 1])
    assert (found.student.shape, found.teacher.shape) == ((3, 4), (3, 5))
    assert _pairs.pairs_of(found.weights).tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert _pairs.pairs_of(found.weights, same=True).tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    for other in (jnp.ones((2, 5)), jnp.ones(3)):
        with pytest.raises(ValueError, match=r"f: student \(3, 2, 2\) and teacher"):
            _pairs.examples("f", x, other, None)
    with pytest.raises(ValueError, match="differ in shape"):
        _pairs.pair("f", jnp.ones(()), jnp.ones(()), None)


def test_weights_below_zero_are_named() -> None:
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"f: beta has {wrong:g}; weights are 0 or more"):
            _pairs.weights_of("f", [1.0, wrong], (3, 2), "beta")
    traced = jax.eval_shape(lambda w: _pairs.weights_of("f", w, (3, 2)), np.ones(2))
    assert traced.shape == (3, 2)


def test_settings_may_be_traced() -> None:
    """Schedules give traced values; those that are known are checked."""
    assert jax.jit(lambda t: _pairs.temperature_of("f", t))(3) == 3.0
    assert _pairs.fraction("f", "alpha", np.float32(0.5), "") == 0.5
    for read, name, x, words in [
        (_pairs.positive, "t", 0.0, "must be positive"), (_pairs.positive, "t", float("nan"), "must be positive"),
        (_pairs.nonnegative, "b", -1, "must be 0 or more"), (_pairs.fraction, "a", 1.5, "must be in"),
        (_pairs.fraction, "a", "1", "must be a number"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"f: {name}.* {words}"):
            read("f", name, x, "hint")
