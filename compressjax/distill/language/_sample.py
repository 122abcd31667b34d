"""Sequences from a model: a teacher's for sequence-level, a student's for on-policy distillation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.distill._pairs import nonnegative


class Samples(NamedTuple):
    """Sampled tokens.

    Attributes:
        tokens: `[batch, steps]`, int32; the stop token is repeated after its first place.
        weights: `[batch, steps]`, float32: 1 up to the first stop token, which counts, and 0 afterwards.
    """

    tokens: jax.Array
    weights: jax.Array


def sample_steps(
    step: Callable[[Any, jax.Array], tuple[jax.Array, Any]],
    state: Any,
    first: jax.Array,
    key: jax.Array,
    *,
    steps: int,
    temperature: Any = 1.0,
    stop: int | None = None,
) -> Samples:
    """Samples token by token with a step function, such as one with a key-value cache.

    .. math:: y_{i + 1} \\sim softmax(z_i / T), \\quad z_i, s_{i + 1} = step(s_i, y_i)

    Args:
        step: `(state, tokens [batch]) -> (logits [batch, vocabulary], state)`.
        state: The state after the prompt without its last token.
        first: `[batch]` integers: the last token of the prompt.
        key: Random key.
        steps: Number of tokens, at least 1.
        temperature: `T`, at least 0; 0 takes the likeliest token.
        stop: Token that ends a sequence; None for sequences of full length.

    Returns:
        `Samples` of the new tokens. No gradient flows through them.

    Raises:
        ValueError: If `steps` or `temperature` is out of range, or the logits are not `[batch, vocabulary]`.

    Example:
        >>> count = lambda state, token: (jax.nn.one_hot(token + 1, 5), state)
        >>> found = sample_steps(count, None, jnp.array([0, 2]), jax.random.key(0), steps=3, temperature=0, stop=4)
        >>> found.tokens.tolist(), found.weights.tolist()
        ([[1, 2, 3], [3, 4, 4]], [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])

    Source: Agarwal et al., arXiv:2306.13649 (agarwal2023).
    """
    who = "sample_steps"
    steps, temperature = as_int(who, "steps", steps), nonnegative(who, "temperature", temperature, "0 is greedy")
    stop = None if stop is None else as_int(who, "stop", stop)
    if steps < 1 or jnp.ndim(first) != 1:
        raise ValueError(f"{who}: steps={steps} must be at least 1, and first {jnp.shape(first)} must be [batch]")

    def one(carry: Any, key: jax.Array) -> Any:
        state, token, going = carry
        logits, state = step(state, token)
        if jnp.ndim(logits) != 2 or logits.shape[0] != token.shape[0]:
            raise ValueError(f"{who}: step returns logits {jnp.shape(logits)}; they must be [batch, vocabulary]")
        new = _drawn(key, jax.lax.stop_gradient(logits), temperature)
        if stop is not None:
            new = jnp.where(going, new, stop)
        weight, going = going.astype(jnp.float32), going & (new != stop) if stop is not None else going
        return (state, new, going), (new, weight)

    start = state, jnp.asarray(first).astype(jnp.int32), jnp.ones(jnp.shape(first), bool)
    _, (tokens, weights) = jax.lax.scan(one, start, jax.random.split(key, steps))
    return Samples(tokens.T, weights.T)


def sample(
    logits_fn: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    prompt: jax.Array,
    key: jax.Array,
    *,
    steps: int,
    temperature: Any = 1.0,
    stop: int | None = None,
) -> Samples:
    """Samples continuations of prompts from any causal model, which runs over the whole sequence for every token.

    .. math:: y_{n + 1} \\sim softmax(f(\\theta, y_{1:n})_n / T)

    One program for all steps. With a cache, `sample_steps` does the same with less work. For on-policy distillation,
    sample from the student, run teacher and student on prompt and tokens, and compare the logits from the last token of
    the prompt on, with the weights of the samples.

    Args:
        logits_fn: `(params, tokens [batch, length]) -> logits [batch, length, vocabulary]`; causal, because later
            tokens are 0.
        params: Its parameters.
        prompt: `[batch, length]` integers, without padding, at least one token.
        key: Random key.
        steps: Number of new tokens, at least 1.
        temperature: `T`, at least 0; 0 takes the likeliest token.
        stop: Token that ends a sequence; None for sequences of full length.

    Returns:
        `Samples` of the new tokens, `[batch, steps]`. No gradient flows through them.

    Raises:
        ValueError: If the prompt is not `[batch, length]`, or a setting is out of range.

    Example:
        >>> count = lambda params, tokens: jax.nn.one_hot(tokens + 1, 9)
        >>> sample(count, None, jnp.array([[0, 3]]), jax.random.key(0), steps=3, temperature=0).tokens.tolist()
        [[4, 5, 6]]

    Source: Agarwal et al., arXiv:2306.13649 (agarwal2023).
    """
    steps = as_int("sample", "steps", steps)
    if jnp.ndim(prompt) != 2 or not jnp.shape(prompt)[1]:
        raise ValueError(f"sample: prompt {jnp.shape(prompt)} must be [batch, length] with at least one token")
    if steps < 1:
        raise ValueError(f"sample: steps={steps} must be at least 1")
    prompt = jnp.asarray(prompt).astype(jnp.int32)
    room = jnp.pad(prompt[:, :-1], ((0, 0), (0, steps)))

    def step(state: Any, token: jax.Array) -> Any:
        tokens, place = state
        tokens = jax.lax.dynamic_update_slice_in_dim(tokens, token[:, None], place, axis=1)
        logits = jax.lax.dynamic_index_in_dim(logits_fn(params, tokens), place, axis=1, keepdims=False)
        return logits, (tokens, place + 1)

    start = room, jnp.asarray(prompt.shape[1] - 1, jnp.int32)
    return sample_steps(step, start, prompt[:, -1], key, steps=steps, temperature=temperature, stop=stop)


def _drawn(key: jax.Array, logits: jax.Array, temperature: Any) -> jax.Array:
    logits = logits.astype(jnp.float32)
    likeliest = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if not isinstance(temperature, jax.core.Tracer) and temperature == 0:
        return likeliest
    safe = jnp.where(jnp.asarray(temperature, jnp.float32) > 0, temperature, 1.0)
    drawn = jax.random.categorical(key, logits / safe).astype(jnp.int32)
    return jnp.where(jnp.asarray(temperature, jnp.float32) > 0, drawn, likeliest)
