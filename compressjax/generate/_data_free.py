"""Losses of a generator that learns what a teacher was trained on, from the teacher alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class DataFree(NamedTuple):
    """Parts of the loss of a generator.

    Attributes:
        confidence: Cross-entropy of the teacher with its own first choice: samples should belong to a class.
        activation: Negative mean magnitude of the features: samples should excite the filters.
        balance: Negative entropy of the mean prediction: all classes should occur.
    """

    confidence: jax.Array
    activation: jax.Array
    balance: jax.Array


def data_free_losses(logits: jax.Array, features: jax.Array) -> DataFree:
    """Returns the parts of the loss of a generator against a fixed teacher (DAFL).

    .. math:: L_{oh} = E[CE(p, \\arg\\max p)], \\quad L_a = -E[\\|f\\|_1 / n], \\quad
        L_{ie} = \\sum_c \\bar p_c \\log \\bar p_c, \\quad \\bar p = E[p]

    The generator minimizes `confidence + 0.1 activation + 5 balance`, the weights of the paper on MNIST; the student
    learns from the teacher on the same samples.

    Args:
        logits: `[batch, classes]`, of the teacher on generated samples.
        features: `[batch, ...]`, what the last layer of the teacher reads.

    Returns:
        The parts, float32 scalars.

    Raises:
        ValueError: If the batches differ.

    Example:
        >>> parts = data_free_losses(jnp.array([[9.0, 0.0], [0.0, 9.0]]), jnp.ones((2, 4)))
        >>> round(parts.balance.item(), 4)
        -0.6931

    Source: Chen et al., arXiv:1904.01186 (chen2019).
    """
    if logits.ndim != 2 or len(logits) != len(features):
        raise ValueError(f"data_free_losses: logits {logits.shape} must be [batch, classes] and features "
                         f"{features.shape} of the same batch")  # fmt: skip
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    mean = jnp.mean(jnp.exp(log_p), axis=0)
    return DataFree(
        -jnp.mean(jnp.max(log_p, axis=-1)),
        -jnp.mean(jnp.abs(features.astype(jnp.float32))),
        jnp.sum(jnp.where(mean > 0, mean * jnp.log(jnp.where(mean > 0, mean, 1.0)), 0.0)),
    )
