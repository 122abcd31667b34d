"""The background: exact where logits come from a linear head, the mean where they do not."""

import numpy as np
import pytest

from compressjax.distill.store import _background


def head(n, vocabulary, inputs, seed=0):
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(n, inputs)) @ np.random.default_rng(9).normal(size=(inputs, vocabulary))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def divergence(log_p, log_q):
    return (np.exp(log_p) * (log_p - log_q)).sum(1).mean()


def test_as_many_directions_as_a_head_has_inputs_are_exact():
    log_p, new = head(60, 300, 5), head(40, 300, 5, seed=1)
    costs = {}
    for components in (0, 2, 5):
        found = _background.fit_background(log_p, components, 0.05)
        log_q = found.expand(found.coefficients(new).astype(float))
        np.testing.assert_allclose(np.exp(log_q).sum(1), 1, rtol=1e-6)
        costs[components] = divergence(new, log_q)
    assert costs[5] < 0.002 < 0.2 < costs[2] < costs[0]


def test_the_steps_of_coefficients_cost_what_the_step_says():
    log_p = head(400, 300, 5)
    costs = []
    for step in (0.2, 0.4):
        found = _background.fit_background(log_p, 5, step)
        costs.append(divergence(log_p, found.expand(found.coefficients(log_p).astype(float))))
    assert 0.3 < costs[0] / (0.2**2 / 24) < 3
    assert 3 < costs[1] / costs[0] < 5


def test_a_constant_background_is_the_mean_and_ranks_by_it():
    log_p = head(50, 30, 4)
    found = _background.fit_background(log_p, 0, 0.1)
    mean = np.exp(log_p).mean(0)
    np.testing.assert_allclose(np.exp(found.expand(np.zeros((1, 0))))[0], mean, rtol=0.05, atol=1e-3)
    np.testing.assert_array_equal(found.tokens_of, np.argsort(-mean))


def test_arrays_that_do_not_fit_are_named():
    arrays = _background.fit_background(head(50, 30, 4), 2, 0.1)._asdict()
    for name, x in _background.as_background(arrays, 2)._asdict().items():
        np.testing.assert_array_equal(x, arrays[name])
    for change, match in (
        ({"mean": arrays["mean"][:, None]}, r"'mean' is float16\[30, 1\], not finite float16\[30\]"),
        ({"basis": arrays["basis"].astype(np.float32)}, "'basis' is float32"),
        ({"scales": arrays["scales"] * np.nan}, "'scales' is .* not finite"),
        ({"rank": arrays["rank"] - 1}, "'rank' is not an order of the 30 tokens"),
    ):
        with pytest.raises(ValueError, match=match):
            _background.as_background({**arrays, **change}, 2)
    with pytest.raises(ValueError, match=r"'basis' is float16\[2, 30\], not finite float16\[3, 30\]"):
        _background.as_background(arrays, 3)
    with pytest.raises(ValueError, match="'mean' is missing"):
        _background.as_background({}, 0)
