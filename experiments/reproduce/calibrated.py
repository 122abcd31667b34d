"""Classifiers for codes of labels: trained on some rows, and made as cautious as held-out rows of these ask for."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import models

CHUNK, PART = 50, 1000
SHARPNESS = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2])
Predict = Callable[[np.ndarray], np.ndarray]


class Classifier:
    """A dense network on features `[n, f]`, trained from scratch for every set of rows."""

    def __init__(self, features: np.ndarray, classes: int, config: Mapping[str, Any], widths: Any, seed: int) -> None:
        """Takes all features; labels come with the rows."""
        self.features, self.config, self.seed = jnp.asarray(features), config, seed
        self.model = models.create("mlp", {"widths": widths, "classes": classes})
        self._logits = jax.jit(lambda params, x, rows: self.model.apply(params, x[rows]))
        self._part = jax.jit(functools.partial(_train, self.model))

    def fit(self, rows: np.ndarray, labels: np.ndarray) -> Predict:
        """Trains on nine tenths of some rows; the others choose how sharp predictions are.

        Args:
            rows: `[m]`, places in the features.
            labels: `[m]`.

        Returns:
            `rows [k] -> [k, classes]`, probabilities; those of labels that nothing predicts are uniform.
        """
        held = max(1, len(rows) // 10)
        params = self._trained(rows[held:], labels[held:]) if len(rows) > 1 else None
        if params is None:
            return lambda asked: np.full((len(asked), self.model.classes), 1 / self.model.classes)
        logits = self.logits(params, rows[:held])
        losses = [_surprise(sharp * logits, labels[:held]) for sharp in SHARPNESS]
        sharp = SHARPNESS[int(np.argmin(losses))]
        return lambda asked: np.asarray(jax.nn.softmax(sharp * self.logits(params, asked)))

    def logits(self, params: Any, rows: np.ndarray) -> np.ndarray:
        """Logits of rows, in parts of one shape."""
        padded = np.concatenate([rows, np.zeros(-len(rows) % PART, rows.dtype)]).reshape(-1, PART)
        found = [np.asarray(self._logits(params, self.features, part)) for part in padded]
        return np.concatenate(found)[: len(rows)]

    def _trained(self, rows: np.ndarray, labels: np.ndarray) -> Any:
        """Adam with a cosine; every number of rows runs the same program."""
        batch = self.config["batch"]
        chunks = max(1, round(self.config["epochs"] * len(rows) / batch / CHUNK))
        rates = self.config["learning_rate"] * (1 + np.cos(np.linspace(0, np.pi, chunks * CHUNK))) / 2
        draw = np.random.default_rng([self.seed, len(rows)])
        params = self.model.init(jax.random.key(self.seed), self.features[:1])
        carry = params, optax.scale_by_adam().init(params)
        for part in rates.astype(np.float32).reshape(chunks, CHUNK):
            places = draw.integers(0, len(rows), (CHUNK, batch))
            carry = self._part(self.features, carry, (part, rows[places], labels[places]))
        return carry[0]


def _train(model: Any, features: jax.Array, carry: Any, parts: Any) -> Any:
    def step(carry: Any, part: Any) -> tuple[Any, None]:
        (params, state), (rate, rows, labels) = carry, part

        def loss(params: Any) -> jax.Array:
            logits = model.apply(params, features[rows])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        updates, state = optax.scale_by_adam().update(jax.grad(loss)(params), state)
        return (jax.tree.map(lambda p, u: p - rate * u, params, updates), state), None

    return jax.lax.scan(step, carry, parts)[0]


def _surprise(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy; an even choice goes to the less sharp of two."""
    sums = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    return float((sums - logits[np.arange(len(labels)), labels]).mean())
