"""Learned pairs: a loop, the laws of losses, and what training finds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from compressjax import distill
from tests.distill.laws import Row, check

LAYERS = {"a": (4, 2, 3), "b": (4, 2, 5)}, {"p": (4, 2, 4), "q": (4, 2, 6)}
SHAPES = [{k: jnp.zeros(s) for k, s in side.items()} for side in LAYERS]
PARAMS = distill.init_layer_attention(jax.random.key(3), *SHAPES, features=3)


def test_laws(key: jax.Array) -> None:
    check(Row(lambda s, t, _, w, temp: distill.layer_attention_loss(s, t, PARAMS, weights=w), *LAYERS), key)


def test_value(key: jax.Array) -> None:
    names = [*LAYERS[0], *LAYERS[1]]
    drawn = {k: jax.random.normal(key, {**LAYERS[0], **LAYERS[1]}[k]) for k in names}
    student, teacher = {k: drawn[k] for k in LAYERS[0]}, {k: drawn[k] for k in LAYERS[1]}

    def through(x: np.ndarray, head: dict) -> np.ndarray:
        return np.asarray(x, np.float64) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])

    want = 0.0
    for n in range(4):
        for s, x in student.items():
            query = through(x[n].mean(0), PARAMS["queries"][s])
            scores = [query @ through(y[n].mean(0), PARAMS["keys"][t]) / np.sqrt(3) for t, y in teacher.items()]
            for alpha, (t, y) in zip(scipy.special.softmax(scores), teacher.items()):
                want += alpha * np.mean((through(x[n], PARAMS["regressors"][s][t]) - y[n]) ** 2) / 4
    np.testing.assert_allclose(distill.layer_attention_loss(student, teacher, PARAMS), want, rtol=1e-4)


def test_attention_goes_to_the_layer_that_can_be_predicted(key: jax.Array) -> None:
    a, b, c = jax.random.split(key, 3)
    x = jax.random.normal(a, (16, 3))
    student, teacher = {"s": x}, {"same": 2 * x, "noise": 3 * jax.random.normal(b, (16, 3))}
    params = distill.init_layer_attention(c, student, teacher, features=4)
    adam = optax.adam(0.05)

    def step(carry: tuple, _: None) -> tuple:
        params, state = carry
        loss, slopes = jax.value_and_grad(lambda p: distill.layer_attention_loss(student, teacher, p))(params)
        updates, state = adam.update(slopes, state)
        return (optax.apply_updates(params, updates), state), loss

    _, losses = jax.jit(lambda p: jax.lax.scan(step, (p, adam.init(p)), None, length=200))(params)
    # Least squares cannot predict the noise: without attention, half of its variance stays.
    assert losses[-1] < 0.2 < losses[0]


def test_bad_arguments(key: jax.Array) -> None:
    with pytest.raises(ValueError, match="with the same positions"):
        distill.layer_attention_loss({"a": jnp.ones((4, 3))}, {"p": jnp.ones((4, 2, 4))}, PARAMS)
    with pytest.raises(ValueError, match="there are 0 layers of the student"):
        distill.init_layer_attention(key, {}, SHAPES[1])
