"""What the last layer of a classifier reads: features in which samples are compared."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.problem import predict

Apply = Callable[[Any, jax.Array], jax.Array]


def with_features(apply: Apply) -> Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]]:
    """A function that also returns what the last dense layer of a Linen network reads.

    Args:
        apply: `(params, images) -> logits`, and the network ends in `nn.Dense`.

    Returns:
        `(params, images) -> (logits [batch, classes], features [batch, features])`.
    """

    def both(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        read: list[jax.Array] = []

        def watch(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
            if isinstance(context.module, nn.Dense):
                read.append(args[0])
            return call(*args, **kwargs)

        with nn.intercept_methods(watch):
            logits = apply(params, images)
        return logits, read[-1]

    return both


def features_of(apply: Apply, params: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and features of many images, in batches of fixed size."""
    both = with_features(apply)
    classes = jax.eval_shape(apply, params, images[:1]).shape[-1]
    joined = predict(lambda p, x: jnp.concatenate(both(p, x), -1), params, images)
    return joined[:, :classes], joined[:, classes:]
