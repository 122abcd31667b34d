"""A language model of words, trained once for a study."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import recipe
from experiments import models
from experiments.datasets import batch_indices
from experiments.reproduce import resumed


def teacher(store: recipe.Store, model: Any, rows: np.ndarray, training: Mapping[str, Any], text: str) -> Any:
    """A language model trained on rows of tokens; the cross-entropy of the next one.

    Args:
        store: Of checkpoints.
        model: The network.
        rows: `[n, length + 1]`.
        training: For `resumed.train`, and `batch`.
        text: Path of the text, for the name in the store.

    Returns:
        Its variables.
    """

    def loss(params: Any, fixed: Any, batch: tuple[Any, ...]) -> jax.Array:
        del fixed
        logits = model.apply(params, batch[0][:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[0][:, 1:]).mean()

    def draw(step: int) -> tuple[np.ndarray]:
        return (rows[batch_indices(0, "teacher", step, 1, training["batch"], len(rows))[0]],)

    named = recipe.digest([models.describe(model), dict(training), text, rows.shape])[:16]
    start = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, rows.shape[1] - 1), jnp.int32))
    return resumed.train(store, f"teacher-{named}", start, loss, (), draw, training)
