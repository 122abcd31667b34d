"""A causal model that trains on what it reads, as `encode_tokens` and `decode_tokens` take it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import as_int
from compressjax.theory.lossless._tokens import Step


class OnlineState(NamedTuple):
    """State of a model that trains while it codes.

    Attributes:
        params: What trains.
        optimizer: State of the optimizer.
        memory: What the model remembers of the tokens.
        start: The memory at the start of the window.
        tokens: `[window, streams]`, the tokens of the window.
        seen: Tokens of every stream that were read.
    """

    params: Any
    optimizer: Any
    memory: Any
    start: Any
    tokens: jax.Array
    seen: jax.Array


class Online(NamedTuple):
    """What `encode_tokens` and `decode_tokens` take: `encode_tokens(online.step, (), online.state, tokens)`.

    Attributes:
        step: Reads a token of every stream, trains at the end of a window, and says what comes next.
        state: Where it begins.
    """

    step: Step
    state: OnlineState


def online(
    step: Step,
    params: Any,
    memory: Any,
    optimizer: optax.GradientTransformation,
    *,
    streams: int,
    window: int = 16,
) -> Online:
    """Makes a model train on what it reads, so that coder and decoder learn the same and no parameter is sent.

    .. math:: \\theta_{n+1} = \\theta_n - \\mathrm{opt}\\Big(\\nabla \\frac{1}{S w} \\sum_{s, t} -\\log p_{\\theta_n}(
        x_{s, t+1} | x_{s, \\le t})\\Big)

    over the `w` tokens of a window of all `S` streams, once the token after them is known. The gradient is cut at the
    start of the window, where the memory is that of the parameters at the time. The first parameters must be known to
    the decoder: draw them from a seed.

    Args:
        step: `(params, memory, tokens [streams]) -> (memory, logits [streams, V])`, differentiable in `params`.
        params: First parameters.
        memory: First memory; `step` must give one of the same shapes and dtypes.
        optimizer: Any of optax.
        streams: Streams that are coded together, at least 1.
        window: `w`, tokens of a stream between two steps of the optimizer, at least 1. Fewer learn faster per token,
            and take longer.

    Returns:
        A step and its state.

    Raises:
        ValueError: If a number is out of range, the memory changes its shapes, or the logits are not `[streams, V]`.

    Example:
        >>> import optax
        >>> from compressjax import theory
        >>> def bigrams(table, memory, tokens):
        ...     return memory, table[tokens]
        >>> model = online(bigrams, jnp.zeros((2, 2)), (), optax.sgd(1.0), streams=1, window=1)
        >>> text = [[1, 0] * 200]
        >>> data = theory.encode_tokens(model.step, (), model.state, text)
        >>> len(data)
        4
        >>> theory.decode_tokens(model.step, (), model.state, data, (1, 400)).tolist() == text
        True

    Source: Bellard, Lossless Data Compression with Neural Networks, 2019 (bellard2019).
    """
    count, length = as_int("online", "streams", streams), as_int("online", "window", window)
    if count < 1 or length < 1:
        raise ValueError(f"online: streams={streams} and window={window} must be at least 1")
    _check(step, params, memory, count)

    def loss(params: Any, memory: Any, read: jax.Array, told: jax.Array) -> jax.Array:
        def one(memory: Any, pair: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
            memory, logits = step(params, memory, pair[0])
            return memory, optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), pair[1])

        return jnp.mean(jax.lax.scan(one, memory, (read, told))[1])

    def learn(state: OnlineState, tokens: jax.Array) -> tuple[Any, Any]:
        told = jnp.concatenate([state.tokens[1:], tokens[None]])
        grads = jax.grad(loss)(state.params, state.start, state.tokens, told)
        updates, optimized = optimizer.update(grads, state.optimizer, state.params)
        return optax.apply_updates(state.params, updates), optimized

    def reading(nothing: Any, state: OnlineState, tokens: jax.Array) -> tuple[OnlineState, jax.Array]:
        del nothing
        place = state.seen % length
        full = (place == 0) & (state.seen > 0)
        params, optimized = jax.lax.cond(full, learn, lambda state, _: (state.params, state.optimizer), state, tokens)
        start = jax.tree.map(lambda new, old: jnp.where(place == 0, new, old), state.memory, state.start)
        memory, logits = step(params, state.memory, tokens)
        held = state.tokens.at[place].set(tokens)
        return OnlineState(params, optimized, memory, start, held, state.seen + 1), logits

    held = jnp.zeros((length, count), jnp.int32)
    return Online(reading, OnlineState(params, optimizer.init(params), memory, memory, held, jnp.zeros((), jnp.int32)))


def _check(step: Step, params: Any, memory: Any, streams: int) -> None:
    after, logits = jax.eval_shape(step, params, memory, jax.ShapeDtypeStruct((streams,), jnp.int32))
    before = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, memory))
    kinds = [str(jax.tree.structure(tree)) for tree in (before, after)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"online: step turns a memory {kinds[0]} into {kinds[1]}; they must be alike")
    for (path, old), (_, new) in zip(*map(jax.tree_util.tree_leaves_with_path, (before, after)), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(f"online: step turns {old.dtype}{list(old.shape)} into {new.dtype}{list(new.shape)} at "
                             f"{jax.tree_util.keystr(path) or 'the memory'}; they must be alike")  # fmt: skip
    if len(logits.shape) != 2 or logits.shape[0] != streams:
        raise ValueError(f"online: step gives logits {list(logits.shape)} for {streams} streams; they must be "
                         f"[{streams}, V]")  # fmt: skip
