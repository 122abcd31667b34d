"""Sampling against a loop, the frequencies of a chain, and a cache."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill

TABLE = jnp.log(jnp.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]))


def model(params: jax.Array, tokens: jax.Array) -> jax.Array:
    """A causal model that looks at two tokens: the logits of the last, shifted by the sum of all so far."""
    return params[tokens] + 0.1 * jnp.cumsum(tokens, axis=1)[..., None] * jnp.array([[[0.0, 1.0, 2.0]]])


def test_greedy_is_a_loop() -> None:
    prompt = np.array([[0, 1], [2, 2]])
    want = prompt
    for _ in range(4):
        logits = np.asarray(model(TABLE, jnp.asarray(want)))[:, -1]
        want = np.c_[want, logits.argmax(-1)]
    got = distill.sample(model, TABLE, jnp.asarray(prompt), jax.random.key(0), steps=4, temperature=0)
    np.testing.assert_array_equal(got.tokens, want[:, 2:])
    assert (got.weights == 1).all()


def test_frequencies_and_the_step_form(key: jax.Array) -> None:
    """Tokens are drawn at the temperature, and a step function draws the same as the whole model."""
    chain = lambda params, tokens: params[tokens]  # noqa: E731
    prompt = jnp.zeros((4000, 1), int)
    whole = jax.jit(lambda k, t: distill.sample(chain, TABLE, prompt, k, steps=2, temperature=t))(key, 0.5)
    p = np.exp(np.asarray(TABLE, np.float64)[0] / 0.5)
    p /= p.sum()
    found = np.bincount(np.asarray(whole.tokens[:, 0]), minlength=3) / 4000
    assert np.abs(found - p).max() < 5 * np.sqrt(0.25 / 4000)
    step = lambda state, token: (TABLE[token], state)  # noqa: E731
    by_step = distill.sample_steps(step, None, prompt[:, 0], key, steps=2, temperature=0.5)
    np.testing.assert_array_equal(by_step.tokens, whole.tokens)


def test_nothing_counts_after_the_stop(key: jax.Array) -> None:
    chain = lambda params, tokens: params[tokens]  # noqa: E731
    got = distill.sample(chain, TABLE, jnp.zeros((50, 1), int), key, steps=6, stop=2)
    for tokens, weights in zip(np.asarray(got.tokens), np.asarray(got.weights)):
        first = list(tokens).index(2) if 2 in tokens else 5
        assert weights.tolist() == [1.0] * (first + 1) + [0.0] * (5 - first)
        assert (tokens[first + 1 :] == 2).all()
    assert 0 < got.weights.sum() < got.weights.size


def test_on_policy_loss_reaches_the_student_through_its_logits(key: jax.Array) -> None:
    chain = lambda params, tokens: params[tokens]  # noqa: E731
    prompt = jnp.zeros((3, 1), int)

    def loss(params: jax.Array) -> jax.Array:
        found = distill.sample(chain, params, prompt, key, steps=3, stop=2)
        tokens = jnp.concatenate([prompt, found.tokens], axis=1)[:, :-1]
        return distill.jsd_loss(chain(params, tokens), chain(TABLE, tokens), weights=found.weights)

    value, slopes = jax.jit(jax.value_and_grad(loss))(jnp.zeros((3, 3)))
    assert value > 0
    assert np.isfinite(slopes).all()
    assert np.any(slopes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 0}, "steps=0"), ({"temperature": -1}, "temperature=-1"),
        ({"prompt": jnp.zeros(3, int)}, r"prompt \(3,\)"), ({"prompt": jnp.zeros((3, 0), int)}, "at least one token"),
        ({"logits_fn": lambda p, t: p[t][..., None]}, r"step returns logits .*must be \[batch, vocabulary\]"),
    ],
)  # fmt: skip
def test_bad_arguments(key: jax.Array, given: dict, words: str) -> None:
    usual = {"logits_fn": model, "params": TABLE, "prompt": jnp.zeros((3, 1), int), "key": key, "steps": 2}
    with pytest.raises(ValueError, match=words):
        distill.sample(**{**usual, **given})
