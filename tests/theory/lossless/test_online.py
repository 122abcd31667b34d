"""A model that trains while it codes: the steps of the optimizer, the bytes, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import theory


def bigrams(table, memory, tokens):
    return memory, table[tokens]


def echo(params, memory, tokens):
    """Logits of the token before last, through a memory."""
    return tokens, params[memory]


def test_windows_train_on_the_tokens_that_followed():
    """By hand: rows of a table, softmax regression, one step of SGD for every two tokens."""
    tokens = np.array([[1, 2, 0, 1, 1], [0, 0, 2, 2, 1]])
    rate = 0.5
    model = theory.online(bigrams, jnp.zeros((3, 3)), (), optax.sgd(rate), streams=2, window=2)
    step, state, table = jax.jit(model.step), model.state, np.zeros((3, 3))
    for t, column in enumerate(tokens.T):
        if t in (2, 4):
            slope = np.zeros((3, 3))
            for s in range(2):
                for before, after in ((t - 2, t - 1), (t - 1, t)):
                    row = np.exp(table[tokens[s, before]])
                    slope[tokens[s, before]] += (row / row.sum() - np.eye(3)[tokens[s, after]]) / 4
            table -= rate * slope
        state, logits = step((), state, jnp.asarray(column, jnp.int32))
        np.testing.assert_allclose(logits, table[column], atol=1e-6)


def test_the_window_begins_with_the_memory_of_its_start():
    """Two windows of two tokens: the second one's first prediction reads what the first window left."""
    model = theory.online(echo, jnp.zeros((4, 4)), jnp.array([3], jnp.int32), optax.sgd(1.0), streams=1, window=2)
    state = model.state
    for token in (0, 1, 2, 0, 1):
        state, _ = model.step((), state, jnp.array([token], jnp.int32))
    # Pairs of (memory, next token): windows (3, 1), (0, 2) and (1, 0), (2, 1), each with half of a softmax slope.
    want = np.zeros((4, 4))
    for memory, after in ((3, 1), (0, 2), (1, 0), (2, 1)):
        want[memory] -= (0.25 - np.eye(4)[after]) / 2
    np.testing.assert_allclose(state.params, want, atol=1e-6)


def test_bytes_come_back_and_are_fewer_than_without_training():
    tokens = np.tile([[1, 5, 2, 7], [3, 0, 6, 4]], (1, 60))
    model = theory.online(bigrams, jnp.zeros((8, 8)), (), optax.adam(0.3), streams=2, window=4)
    data = theory.encode_tokens(model.step, (), model.state, tokens)
    np.testing.assert_array_equal(theory.decode_tokens(model.step, (), model.state, data, tokens.shape), tokens)
    assert len(data) < 0.3 * len(theory.encode_tokens(bigrams, jnp.zeros((8, 8)), (), tokens))


def test_what_does_not_fit_is_named():
    zeros, sgd = jnp.zeros((4, 4)), optax.sgd(1.0)
    with pytest.raises(ValueError, match="window=0 must be at least 1"):
        theory.online(bigrams, zeros, (), sgd, streams=1, window=0)
    with pytest.raises(ValueError, match=r"logits \[2, 2, 4\] for 2 streams"):
        theory.online(lambda p, m, x: (m, p[x][:, None].repeat(2, 1)), zeros, (), sgd, streams=2)
    with pytest.raises(ValueError, match=r"int32\[1\] into int32\[2\] at the memory"):
        theory.online(echo, zeros, jnp.zeros(1, jnp.int32), sgd, streams=2)
    with pytest.raises(ValueError, match=r"memory .* into .*; they must be alike"):
        theory.online(lambda p, m, x: ((m,), p[x]), zeros, zeros, sgd, streams=1)
