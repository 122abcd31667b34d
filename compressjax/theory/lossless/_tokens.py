"""Lossless coding of tokens with any causal model, trained before or while it codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import constriction
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from compressjax.coding import ArtifactError
from compressjax.core._settings import as_int

Step = Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]]
_CATEGORICAL = constriction.stream.model.Categorical(perfect=False)
_TOTAL = 2**22  # what the likely tokens share; every token has one more, and sums stay below the 2**24 of float32
_MOST = 2**20


def encode_tokens(step: Step, params: Any, state: Any, tokens: ArrayLike, *, start: int = 0) -> bytes:
    """Compresses streams of tokens, every one at the cost of its likelihood under a model that reads from the left.

    .. math:: \\ell = -\\sum_t \\log_2 \\frac{1 + \\lfloor 2^{22}\\, p(x_t | x_{<t}) \\rfloor}
        {V + \\sum_v \\lfloor 2^{22}\\, p(v | x_{<t}) \\rfloor}

    The coder sees integers. Encoder and decoder run the same program with the same shapes, so both have the same ones.
    Another machine, version of JAX or number of threads may round a logit the other way, and cannot decode; nor can an
    accelerator whose compiler chooses kernels by timing them. A state that
    holds parameters and an optimizer makes a model that learns while it codes: `step` then trains on what it reads.

    Args:
        step: `(params, state, tokens [streams]) -> (state, logits [streams, V])`: reads one token of every stream and
            says what it expects next. It is compiled.
        params: What does not change; not copied.
        state: Where the model begins: memories of attention, parameters that learn. It is copied.
        tokens: `[streams, length]`, integers from 0 to `V - 1`; `V` is at most `2**20`.
        start: Token that every stream is taken to begin after.

    Returns:
        The bytes; `decode_tokens` gives the tokens back.

    Raises:
        ValueError: If tokens are no integers of two axes or out of range, or the logits have another shape or are not
            finite: the position is named.

    Example:
        >>> def bigrams(table, state, tokens):
        ...     return state, table[tokens]
        >>> table = jnp.array([[0.0, 5.0], [5.0, 0.0]])  # 1 follows 0, and 0 follows 1
        >>> data = encode_tokens(bigrams, table, (), [[1, 0] * 200])
        >>> len(data)
        4
        >>> decode_tokens(bigrams, table, (), data, (1, 400))[0, :4].tolist()
        [1, 0, 1, 0]

    Source: Delétang et al., Language modeling is compression, arXiv:2309.10668 (deletang2023).
    """
    held = np.asarray(tokens)
    if held.ndim != 2 or held.dtype.kind not in "iu" or (held.size and held.min() < 0):
        raise ValueError(
            f"encode_tokens: tokens are {held.dtype}{list(held.shape)}; give integers [streams, length] from 0"
        )
    coder = constriction.stream.queue.RangeEncoder()
    run = _compiled(step)
    state, last = jax.tree.map(jnp.copy, state), _first("encode_tokens", start, held.shape[0])
    for t, column in enumerate(held.T):
        state, shares = run(params, state, jnp.asarray(last, jnp.int32))
        weights = _checked("encode_tokens", shares, len(column), t)
        if column.size and column.max() >= weights.shape[1]:
            raise ValueError(f"encode_tokens: token {column.max()} at position {t} is not below the {weights.shape[1]} "
                             "logits of the model")  # fmt: skip
        coder.encode(column.astype(np.int32), _CATEGORICAL, weights)
        last = column
    return coder.get_compressed().astype("<u4").tobytes()


def decode_tokens(
    step: Step, params: Any, state: Any, data: bytes, shape: tuple[int, int], *, start: int = 0
) -> np.ndarray:
    """Returns the tokens that `encode_tokens` compressed.

    Args:
        step: The same.
        params: The same.
        state: The same.
        data: What it returned.
        shape: `(streams, length)` of the tokens.
        start: The same.

    Returns:
        `[streams, length]`, int32.

    Raises:
        ArtifactError: If the stream is damaged or does not end with the last token.
        ValueError: If an argument is out of range.

    Example:
        >>> def uniform(params, state, tokens):
        ...     return state, jnp.zeros((2, 4))
        >>> data = encode_tokens(uniform, (), (), [[1, 2], [3, 0]])
        >>> decode_tokens(uniform, (), (), data, (2, 2)).tolist()
        [[1, 2], [3, 0]]

    Source: as for `encode_tokens`.
    """
    if len(shape) != 2:
        raise ValueError(f"decode_tokens: shape={shape} must be (streams, length)")
    streams, length = (as_int("decode_tokens", "shape", x) for x in shape)
    if streams < 0 or length < 0 or len(data) % 4:
        raise ValueError(f"decode_tokens: shape={shape} must have no negative number, and {len(data)} bytes be a "
                         "multiple of 4")  # fmt: skip
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
    run = _compiled(step)
    state, last = jax.tree.map(jnp.copy, state), _first("decode_tokens", start, streams)
    found = np.zeros((streams, length), np.int32)
    for t in range(length):
        state, shares = run(params, state, jnp.asarray(last, jnp.int32))
        weights = _checked("decode_tokens", shares, streams, t)
        try:
            last = found[:, t] = coder.decode(_CATEGORICAL, weights)
        except (AssertionError, ValueError) as error:
            raise ArtifactError(
                f"decode_tokens: the stream is damaged, or of another model, at position {t}"
            ) from error
    if not coder.maybe_exhausted():
        raise ArtifactError("decode_tokens: the stream does not end with the last token; decode with the model, the "
                            "shape, the versions and the machine of encode_tokens")  # fmt: skip
    return found


def _first(who: str, start: int, streams: int) -> np.ndarray:
    token = as_int(who, "start", start)
    if not 0 <= token < _MOST:
        raise ValueError(f"{who}: start={token} must be a token, from 0 and below {_MOST}")
    return np.full(streams, token)


def _compiled(step: Step) -> Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]]:
    """One program for both ways. Whole numbers in float32, which a coder of 24 bits takes as they are."""

    def run(params: Any, state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
        state, logits = step(params, state, tokens)
        return state, jnp.floor(_TOTAL * jax.nn.softmax(logits.astype(jnp.float32), axis=-1)) + 1

    return jax.jit(run, donate_argnums=1)


def _checked(who: str, shares: jax.Array, streams: int, t: int) -> np.ndarray:
    weights = np.asarray(shares)
    if weights.ndim != 2 or len(weights) != streams or not 2 <= weights.shape[1] <= _MOST:
        raise ValueError(f"{who}: the logits have shape {weights.shape}; they must be [{streams}, V] with V from 2 to "
                         f"{_MOST}")  # fmt: skip
    if not np.isfinite(weights).all():
        raise ValueError(f"{who}: the logits at position {t} are not finite; check the model and its state")
    return weights
