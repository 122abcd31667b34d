"""Weights of losses against a loop and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_coefficients_of_variation(draw: np.random.Generator) -> None:
    values = draw.uniform(1, 2, size=(6, 2)) * [1.0, 100.0]
    step, state = jax.jit(distill.balance), distill.init_balance(["a", "b"])
    for t, (a, b) in enumerate(values):
        total, state = step({"a": jnp.float32(a), "b": jnp.float32(b)}, state)
        alphas = np.array([0.5, 0.5])
        if t > 1:
            ratios = [values[i] / values[:i].mean(0) if i else np.ones(2) for i in range(t)]
            varied = np.std(ratios, axis=0) / np.mean(ratios, axis=0)
            alphas = varied / varied.sum()
        assert float(total) == pytest.approx(float(alphas @ [a, b]), rel=1e-3)
    np.testing.assert_allclose([state.mean["a"], state.mean["b"]], values.mean(0), rtol=1e-5)


def test_gradients_pass_the_losses_alone() -> None:
    state = distill.init_balance(["a", "b"])
    for a in (1.0, 2.0, 1.5):
        _, state = distill.balance({"a": a, "b": 3.0}, state)
    slope = jax.grad(lambda a: distill.balance({"a": a, "b": 3.0}, state)[0])(2.0)
    assert float(slope) == pytest.approx(1.0)  # all weight is on what varies
    with pytest.raises(ValueError, match=r"losses \['a'\] and state"):
        distill.balance({"a": 1.0}, state)
    with pytest.raises(ValueError, match="no losses"):
        distill.init_balance([])


def test_a_loss_that_is_not_finite_leaves_the_state(draw: np.random.Generator) -> None:
    step, states = jax.jit(distill.balance), [distill.init_balance(["a", "b"])] * 2
    for t, (a, b) in enumerate(draw.uniform(1, 2, size=(4, 2)).astype(np.float32)):
        for i, lost in enumerate((None, (np.nan, np.inf)[t % 2])):
            if lost is not None:
                total, states[i] = step({"a": a, "b": np.float32(lost)}, states[i])
                assert not np.isfinite(total)  # the step is lost, and says so
            _, states[i] = step({"a": a, "b": b}, states[i])
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert states[0].step == 4


def test_uncertainty() -> None:
    losses = {"a": 3.0, "b": 0.5}
    best = {name: jnp.log(x) for name, x in losses.items()}
    slopes = jax.grad(lambda s: distill.uncertainty_loss(losses, s))(best)
    assert all(abs(float(g)) < 1e-6 for g in slopes.values())
    want = sum(0.5 * (1 + np.log(x)) for x in losses.values())
    assert float(distill.uncertainty_loss(losses, best)) == pytest.approx(want, rel=1e-6)
    with pytest.raises(ValueError, match="differ; use the same names"):
        distill.uncertainty_loss(losses, distill.init_uncertainty(["a"]))
    with pytest.raises(ValueError, match="no losses"):
        distill.init_uncertainty([])
