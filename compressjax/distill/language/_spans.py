"""Distillation between tokenizers by the text: chunks that both cut in the same places."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.distill._pairs import positive, weighted_mean, weights_of
from compressjax.numerics._numerics import straight_through

_LEAST = np.float32(1e-6)  # logarithm of a likelihood that counts as certain


class Spans(NamedTuple):
    """The chunk of every token.

    Attributes:
        student: `[tokens]`, int32: the chunk of every token of the student; -1 for tokens without text.
        teacher: `[tokens]`, the same for the teacher.
        chunks: Number of chunks.
    """

    student: np.ndarray
    teacher: np.ndarray
    chunks: int


def align_spans(student_offsets: Sequence[Any], teacher_offsets: Sequence[Any]) -> Spans:
    """Returns the smallest chunks of text that begin and end with tokens of both tokenizers; runs on the host.

    .. math:: cuts = \\{begins, ends\\}_{student} \\cap \\{begins, ends\\}_{teacher}

    Tokens without characters (special tokens) belong to no chunk, nor does text that only one of both covers. A space
    may belong to a token of one tokenizer and to none of the other.

    Args:
        student_offsets: `[tokens, 2]` integers: begin and end of every token in the text, as tokenizers return them, in
            the order of the text.
        teacher_offsets: The same of the teacher, for the same text.

    Returns:
        `Spans`; pad its arrays with -1 to make batches.

    Raises:
        ValueError: If offsets are not pairs, or go backwards.

    Example:
        >>> found = align_spans([(0, 2), (2, 5), (5, 6)], [(0, 0), (0, 1), (1, 5), (5, 6)])
        >>> found.student.tolist(), found.teacher.tolist(), found.chunks
        ([0, 0, 1], [-1, 0, 0, 1], 2)

    Source: Minixhofer et al., arXiv:2503.20083 (minixhofer2025).
    """
    both = [_read(name, x) for name, x in (("student_offsets", student_offsets), ("teacher_offsets", teacher_offsets))]
    cuts = np.array(sorted(set.intersection(*(set(x[x[:, 0] < x[:, 1]].ravel().tolist()) for x in both))), np.int64)
    places = [_between(cuts, x) for x in both]
    shared = np.intersect1d(places[0], places[1])
    shared = shared[shared >= 0]
    found = [np.where(np.isin(x, shared), np.searchsorted(shared, x), -1).astype(np.int32) for x in places]
    return Spans(found[0], found[1], len(shared))


def _between(cuts: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For every token, the number of the cut before it; -1 for tokens without text or outside of all cuts."""
    before = np.searchsorted(cuts, offsets[:, 0], side="right") - 1
    after = np.searchsorted(cuts, offsets[:, 1], side="left")
    return np.where((offsets[:, 0] < offsets[:, 1]) & (before >= 0) & (after < len(cuts)), before, -1)


def span_loss(
    student: jax.Array,
    teacher: jax.Array,
    student_chunks: jax.Array,
    teacher_chunks: jax.Array,
    *,
    chunks: int,
    temperature: Any = 100.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss of approximate likelihood matching (ALM): the divergence between likelihoods of chunks of text.

    .. math:: L = \\frac{1}{n} \\sum_c KL(b(p_c^{1/T}) \\,\\|\\, b(q_c^{1/T})), \\quad
        \\log p_c = \\sum_{i \\in c} \\log p(y_i \\,|\\, y_{<i}), \\quad b(x) = (x, 1 - x)

    Args:
        student: `[..., tokens]`: log-likelihood of every token of the text, any floating-point dtype.
        teacher: `[..., other tokens]`; no gradient flows to it.
        student_chunks: `[..., tokens]` integers from `align_spans`; -1 for tokens that belong to none.
        teacher_chunks: `[..., other tokens]`, the same for the teacher.
        chunks: The largest number of chunks of an example.
        temperature: `T`, above 0; large ones compare ratios of likelihoods even for long chunks.
        weights: At least 0, broadcast to `[..., chunks]`; chunks without tokens on either side count 0. None weighs all
            alike.

    Returns:
        Scalar, float32: a weighted mean over chunks.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> own, its = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25]))
        >>> span_loss(own, its, jnp.array([0, 0]), jnp.array([0]), chunks=1).item()
        0.0

    Source: Minixhofer et al., arXiv:2503.20083 (minixhofer2025).
    """
    who = "span_loss"
    temperature, chunks = (
        positive(who, "temperature", temperature, "the paper takes 100"),
        as_int(who, "chunks", chunks),
    )
    lead = jnp.shape(student)[:-1]
    for name, x, places in (("student", student, student_chunks), ("teacher", teacher, teacher_chunks)):
        if not jnp.ndim(x) or jnp.shape(x) != jnp.shape(places) or jnp.shape(x)[:-1] != lead or chunks < 1:
            raise ValueError(
                f"{who}: {name} {jnp.shape(x)} with chunks {jnp.shape(places)} must be [..., tokens] over the examples "
                f"{lead}, and chunks={chunks} at least 1"
            )
    weights = weights_of(who, weights, (*lead, chunks))
    (own, in_own), (its, in_its) = (
        _summed(x, jnp.asarray(places), weights) for x, places in ((student, student_chunks), (teacher, teacher_chunks))
    )
    weights = jnp.where(in_own & in_its, weights, 0.0)
    # What counts as certain keeps the gradient of the least certain likelihood: else no student would leave it.
    log_q, log_p = (straight_through(x, jnp.minimum(x, -_LEAST)) for x in (own / temperature, its / temperature))
    log_p = jax.lax.stop_gradient(log_p)
    values = jnp.exp(log_p) * (log_p - log_q) - jnp.expm1(log_p) * (_log1mexp(log_p) - _log1mexp(log_q))
    return weighted_mean(values, weights)


def _summed(x: Any, places: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sums `[..., chunks]` over the tokens of every chunk, and whether it has any."""
    chunks = weights.shape[-1]
    inside = (places >= 0) & (places < chunks)
    place = jnp.where(inside, places, chunks)
    counted = inside & (jnp.take_along_axis(weights, jnp.where(inside, places, 0), axis=-1) != 0)
    clean = jnp.where(counted, jnp.asarray(x).astype(jnp.float32), 0.0)
    one = jax.nn.one_hot(place, chunks, dtype=jnp.float32)
    sums = jnp.einsum("...n,...nc->...c", clean, one, precision=jax.lax.Precision.HIGHEST)
    return sums, jnp.any(one != 0, axis=-2)


def _log1mexp(x: jax.Array) -> jax.Array:
    """`log(1 - exp(x))` for negative x."""
    near = x > -0.6931472
    return jnp.where(near, jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))), jnp.log1p(-jnp.exp(jnp.where(near, -1.0, x))))


def _read(name: str, offsets: Sequence[Any]) -> np.ndarray:
    found = np.asarray(offsets, dtype=object if not len(offsets) else None)
    found = np.zeros((0, 2), np.int64) if not len(offsets) else found
    if found.ndim != 2 or found.shape[1] != 2 or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"align_spans: {name} of shape {found.shape} must be pairs of integers (begin, end)")
    real = found[found[:, 0] != found[:, 1]]
    if np.any(real[:, 0] > real[:, 1]) or np.any(np.diff(real[:, 1]) < 0) or np.any(found < 0):
        raise ValueError(f"align_spans: {name} go backwards; give the tokens of one text in its order")
    return found
