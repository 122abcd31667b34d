"""Tokens come back, at the cost of their likelihoods, also from a model that learns while it codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import coding, theory


def bigrams(table, state, tokens):
    return state, table[tokens]


def test_bytes_are_the_cross_entropy_and_tokens_come_back(key):
    table = 3 * jax.random.normal(key, (50, 50))
    tokens = np.zeros((4, 101), np.int64)
    generator, chances = np.random.default_rng(0), np.asarray(scipy.special.softmax(table, axis=1), np.float64)
    for t in range(100):
        tokens[:, t + 1] = [generator.choice(50, p=chances[x] / chances[x].sum()) for x in tokens[:, t]]
    tokens = tokens[:, 1:]
    data = theory.encode_tokens(bigrams, table, (), tokens)
    np.testing.assert_array_equal(theory.decode_tokens(bigrams, table, (), data, (4, 100)), tokens)
    before = np.concatenate([np.zeros((4, 1), int), tokens[:, :-1]], axis=1)
    bits = -np.log2(chances[before, tokens]).sum()
    assert abs(len(data) - bits / 8) < bits / 8 * 0.001 + 8


def test_a_model_that_learns_while_it_codes_needs_less_and_less():
    """Counts as the state, Laplace's rule: a stream of one token costs the logarithm of the number of tries."""

    def counts(_, seen, tokens):
        seen = seen.at[jnp.arange(1), tokens].add(1.0)
        return seen, jnp.log(seen)

    seen, tokens = jnp.ones((1, 8)), np.full((1, 200), 3)
    data = theory.encode_tokens(counts, (), seen, tokens, start=3)
    np.testing.assert_array_equal(theory.decode_tokens(counts, (), seen, data, (1, 200), start=3), tokens)
    # Of 8 classes, after k + 1 of them were seen: (k + 2) / (k + 9).
    want = -np.log2([(k + 2) / (k + 9) for k in range(200)]).sum()
    assert abs(8 * len(data) - want) < 64
    assert float(seen[0, 3]) == 1.0  # the caller's state is its own


def test_what_does_not_fit_is_named(key):
    table = jnp.zeros((4, 4))
    with pytest.raises(ValueError, match=r"tokens are float64\[1, 2\]"):
        theory.encode_tokens(bigrams, table, (), [[0.5, 1.0]])
    with pytest.raises(ValueError, match="token 4 at position 1 is not below the 4 logits"):
        theory.encode_tokens(bigrams, table, (), [[0, 4]])
    with pytest.raises(ValueError, match="position 1 are not finite"):
        theory.encode_tokens(bigrams, table.at[2].set(jnp.nan), (), [[2, 1]])
    with pytest.raises(ValueError, match=r"must be \[1, V\]"):
        theory.encode_tokens(lambda p, s, x: (s, p), table, (), [[0, 1]])
    data = theory.encode_tokens(bigrams, table, (), [[1, 2, 3] * 40])
    with pytest.raises(coding.ArtifactError, match="does not end with the last token"):
        theory.decode_tokens(bigrams, table, (), data, (1, 3))
    with pytest.raises(coding.ArtifactError, match="damaged, or of another model, at position"):
        theory.decode_tokens(bigrams, table, (), b"\xff" * 8, (1, 120))
    with pytest.raises(ValueError, match=r"shape=\(1, 2, 3\) must be"):
        theory.decode_tokens(bigrams, table, (), data, (1, 2, 3))
    with pytest.raises(ValueError, match="start=-5 must be a token"):
        theory.encode_tokens(bigrams, table, (), [[0]], start=-5)
    with pytest.raises(ValueError, match="V from 2"):
        theory.encode_tokens(bigrams, jnp.zeros((1, 1)), (), [[0]])
    with pytest.raises(ValueError, match="multiple of 4"):
        theory.decode_tokens(bigrams, table, (), data[:-1], (1, 120))
