"""Labels that a model gives to data without any."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.distill._pairs import cross_entropy, fraction, kept, log_soft, weights_of


class PseudoLabels(NamedTuple):
    """Labels of a model, and which of them to trust.

    Attributes:
        labels: `[...]`, the most probable class.
        weights: `[...]`, float32, 1 where it is probable enough, else 0.
        confidence: `[...]`, float32, its probability.
    """

    labels: jax.Array
    weights: jax.Array
    confidence: jax.Array


def pseudo_labels(logits: jax.Array, *, threshold: Any = 0.95) -> PseudoLabels:
    """Returns the most probable classes as labels, and weights that leave out what is uncertain.

    .. math:: \\hat y = \\arg\\max_c p_c, \\quad w = [\\max_c p_c \\ge \\tau]

    Args:
        logits: `[..., classes]`, of a teacher, or of the model itself on a weak view.
        threshold: `tau`, in [0, 1]; may be traced.

    Returns:
        `PseudoLabels`; the weights go to any loss as `weights=`. No gradient flows through them.

    Raises:
        ValueError: If the threshold is out of range.

    Example:
        >>> found = pseudo_labels(jnp.array([[0.0, 9.0], [1.0, 0.0]]))
        >>> found.labels.tolist(), found.weights.tolist()
        ([1, 0], [1.0, 0.0])

    Source: Sohn et al., arXiv:2001.07685 (sohn2020).
    """
    threshold = fraction("pseudo_labels", "threshold", threshold, "0 takes every label")
    probabilities = jax.lax.stop_gradient(jnp.exp(log_soft(jnp.asarray(logits), 1.0)))
    confidence = jnp.max(probabilities, axis=-1)
    return PseudoLabels(jnp.argmax(probabilities, axis=-1), (confidence >= threshold).astype(jnp.float32), confidence)


def pseudo_label_loss(
    strong_logits: jax.Array, weak_logits: jax.Array, *, threshold: Any = 0.95, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the loss of FixMatch on data without labels: a strong view gets the label that the weak view is sure of.

    .. math:: L = \\frac{1}{b} \\sum_i [\\max_c q_{i,c} \\ge \\tau]\\, H(\\hat q_i, p_i)

    The mean is over all examples, also those that are left out, so that the loss starts small.

    Args:
        strong_logits: `[..., classes]`, of the model on strong views, any floating-point dtype.
        weak_logits: Of the same shape, of the model or of a teacher on weak views; no gradient flows to them.
        threshold: `tau`, in [0, 1]; may be traced.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If shapes differ, or the threshold is out of range.

    Example:
        >>> pseudo_label_loss(jnp.array([[0.0, 0.0], [5.0, 0.0]]), jnp.array([[9.0, 0.0], [1.0, 0.0]])).item()
        0.346...

    Source: Sohn et al., arXiv:2001.07685 (sohn2020).
    """
    who, shapes = "pseudo_label_loss", (jnp.shape(strong_logits), jnp.shape(weak_logits))
    if shapes[0] != shapes[1] or not shapes[0]:
        raise ValueError(f"{who}: student {shapes[0]} and teacher {shapes[1]} must be logits [..., classes] of the "
                         "same examples")  # fmt: skip
    given = weights_of(who, weights, shapes[0][:-1])
    found = pseudo_labels(kept(weak_logits, given), threshold=threshold)
    entropy = cross_entropy(who, kept(strong_logits, given * found.weights), found.labels)
    total = jnp.sum(given)
    return jnp.sum(given * found.weights * entropy) / jnp.where(total != 0, total, 1.0)


def balanced_rows(labels: Any, confidence: Any, count: int) -> np.ndarray:
    """Returns which pseudo-labeled examples to train on, as many of every class, those first that are most certain.

    A class with fewer examples has them repeated. Runs on the host, once for every generation of a noisy student.

    Args:
        labels: `[n]` integers, of a teacher.
        confidence: `[n]`, as from `pseudo_labels`.
        count: Examples of every class.

    Returns:
        `[classes that occur * count]`, positions in `labels`, class by class.

    Raises:
        ValueError: If lengths differ, there are no examples, or `count` is below 1.

    Example:
        >>> balanced_rows([0, 0, 1, 0], [0.9, 0.5, 0.7, 0.8], 2).tolist()
        [0, 3, 2, 2]

    Source: Xie et al., arXiv:1911.04252 (xie2020).
    """
    found, sure, count = np.asarray(labels), np.asarray(confidence, np.float64), as_int("balanced_rows", "count", count)
    if found.ndim != 1 or found.shape != sure.shape or not len(found) or count < 1:
        raise ValueError(f"balanced_rows: labels {found.shape}, confidence {sure.shape}, count={count}: give two "
                         "arrays [n], and a count of at least 1")  # fmt: skip
    ranked = np.argsort(-sure, kind="stable")
    return np.concatenate([np.resize(ranked[found[ranked] == c][:count], count) for c in np.unique(found)])
