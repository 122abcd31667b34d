"""Rounded inputs and their gradients, against the published formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.tensors.quantized._inputs import Codes, codes_of, errors_of, rounded

X = np.float32([-9.0, -1.6, -0.3, 0.0, 0.2, 0.7, 1.3, 9.0])
G = np.float32([1.0, -2.0, 3.0, 5.0, -7.0, 11.0, -13.0, 17.0])


def pulled(x, step, codes, features=1):
    y, pull = jax.vjp(lambda x, step: rounded(x, step, (0,), codes, features), jnp.asarray(x), jnp.float32(step))
    return (np.asarray(y), *(np.asarray(g) for g in pull(jnp.asarray(G))))


@pytest.mark.parametrize(("signed", "lowest", "highest"), [(True, 4, 3), (False, 0, 7)])
def test_lsq_is_the_published_rule(signed: bool, lowest: int, highest: int) -> None:
    """Esser et al., equations 1 to 5: Q_N = 4 and Q_P = 3 signed, 0 and 7 unsigned, of 3 bits."""
    step, features = np.float32(0.4), 50
    v = X / step
    bar = np.round(np.clip(v, -lowest, highest))
    inside = (v > -lowest) & (v < highest)
    of_step = np.where(inside, np.round(v) - v, np.where(v <= -lowest, -lowest, highest))
    y, to_x, to_step = pulled(X, step, Codes(3, signed, "lsq"), features)
    np.testing.assert_allclose(y, step * bar, rtol=1e-6)
    np.testing.assert_array_equal(to_x, np.where(inside, G, 0))
    np.testing.assert_allclose(to_step, (G * of_step).sum() / np.sqrt(features * highest), rtol=1e-5)


def test_pact_is_the_published_rule() -> None:
    """Choi et al., equations 1 to 3, with alpha = 7 s."""
    alpha = np.float32(0.7)
    clipped = 0.5 * (np.abs(X) - np.abs(X - alpha) + alpha)
    y, to_x, to_step = pulled(X, alpha / 7, Codes(3, False, "pact"))
    np.testing.assert_allclose(y, np.round(clipped * 7 / alpha) * alpha / 7, atol=1e-6)
    np.testing.assert_array_equal(to_x, np.where((X >= 0) & (alpha > X), G, 0))
    np.testing.assert_allclose(to_step / 7, G[alpha <= X].sum(), rtol=1e-6)


def test_a_signed_clip_learns_from_both_ends() -> None:
    y, to_x, to_step = pulled(X, 0.5, Codes(3, True, "pact"))
    np.testing.assert_allclose(y, [-1.5, -1.5, -0.5, 0.0, 0.0, 0.5, 1.5, 1.5])
    np.testing.assert_array_equal(to_x, np.where(np.abs(X) < 1.5, G, 0))
    np.testing.assert_allclose(to_step, 3 * (G[7] - G[0] - G[1]))


def test_fixed_steps_are_those_of_dorefa() -> None:
    """Zhou et al., equation 11: round((2^k - 1) clip(x, 0, 1)) / (2^k - 1)."""
    y, *_ = pulled(X, 1 / 3, Codes(2, False, "pact"))
    np.testing.assert_allclose(y, np.round(3 * np.clip(X, 0, 1)) / 3, atol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_rows_have_their_own_step(signed: bool) -> None:
    codes, rows = Codes(4, signed, "pact"), jnp.asarray(np.stack([X, 100 * X[::-1] - 3]))
    largest = np.abs(rows).max(1, keepdims=True) if signed else np.maximum(rows, 0).max(1, keepdims=True)
    step = largest / (7 if signed else 15)
    want = np.maximum(np.round(rows / step), -7 if signed else 0) * step
    np.testing.assert_allclose(rounded(rows, None, (1,), codes, 1), want, rtol=1e-6)
    to_rows = jax.grad(lambda x: (rounded(x, None, (1,), codes, 1) * G[None]).sum())(rows)
    np.testing.assert_array_equal(to_rows, np.where(signed | (rows >= 0), G, 0))
    error = np.abs(want - rows)
    bound = errors_of(rows, None, jnp.abs(rows).max(1, keepdims=True), codes)
    assert (error <= 1.001 * np.asarray(bound)).all()


def test_a_step_of_zero_rounds_nothing_and_has_no_codes() -> None:
    y, to_x, to_step = pulled(X, 0.0, Codes(4, True, "lsq"))
    np.testing.assert_array_equal(y, X)
    np.testing.assert_array_equal(to_x, G)
    assert to_step == 0
    assert np.isnan(codes_of(jnp.asarray(X), jnp.float32(0), (0,), Codes(4, True, "lsq"))[0]).all()


@pytest.mark.parametrize("step", [None, 0.5])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(step: float | None, wrong: float) -> None:
    for signed in (True, False):
        y = rounded(jnp.float32([1.0, wrong]), step, (0,), Codes(4, signed, "pact"), 1)
        assert not np.isfinite(np.asarray(y)[1])


def test_codes_of_int8_products() -> None:
    assert [Codes(bits, True, "lsq").low for bits in (2, 4, 7, 8)] == [-2, -8, -64, -127]
    assert [Codes(bits, False, "pact").narrow for bits in (2, 7, 8)] == [True, True, False]
