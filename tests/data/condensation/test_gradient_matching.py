"""Made-up rows: a linear model learns more from them than from as many real ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import data
from tests.data import laws


def loss(params, x, y):
    logits = x @ params["kernel"] + params["bias"][None]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def draw_params(key):
    return {"kernel": 0.1 * jax.random.normal(key, (64, 4)), "bias": jnp.zeros(4)}


def accuracy(x, y, rows, labels):
    """Of a model that is trained on a few rows."""

    def step(params, _):
        return jax.tree.map(lambda p, g: p - 0.5 * g, params, jax.grad(loss)(params, x, y)), None

    params = jax.lax.scan(step, draw_params(jax.random.key(7)), length=200)[0]
    return float(jnp.mean(jnp.argmax(rows @ params["kernel"] + params["bias"][None], 1) == labels))


@pytest.mark.thorough
def test_one_row_a_class_teaches_more_than_a_real_one(draw, key):
    from sklearn.datasets import load_digits

    kept = load_digits().target < 4
    rows, labels = laws.digits()[kept][:400] / 16, load_digits().target[kept][:400].astype(np.int32)
    made = data.condense(loss, draw_params, rows, labels, 1, key, rounds=60, inner=3, batch=32)
    assert made.y.tolist() == [0, 1, 2, 3]
    assert float(made.distances[-10:].mean()) < 0.9 * float(made.distances[:10].mean())
    picked = [[int(draw.choice(np.flatnonzero(labels == c))) for c in range(4)] for _ in range(5)]
    real = [accuracy(rows[p], jnp.arange(4), rows, labels) for p in picked]
    assert accuracy(made.x, made.y, rows, labels) > np.mean(real)


def test_the_distance_is_that_of_cosines(draw):
    a, b = draw.normal(size=(2, 3, 2, 5)).astype(np.float32)
    pairs = zip(a.reshape(6, 5).T, b.reshape(6, 5).T)
    by_hand = sum(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs)
    assert float(data.gradient_distance([a], [b])) == pytest.approx(by_hand, rel=1e-5)
    assert float(data.gradient_distance([a], [3 * a])) == pytest.approx(0, abs=1e-5)


def test_bad_arguments_are_named(key):
    x = np.ones((3, 2))
    for y, more, said in (
        ([0, 2, 0], {}, "class 1 has no rows"),
        ([0, 1], {}, r"y is int64 of shape \(2,\)"),
        ([0, 1, -1], {}, "an integer from 0"),
        ([0, 1, 1], {"rounds": 0}, "rounds=0"),
    ):
        with pytest.raises(ValueError, match=said):
            data.condense(loss, draw_params, x, y, 1, key, **more)
    with pytest.raises(ValueError, match="row 2 has a value that is not finite"):
        data.condense(loss, draw_params, np.where(np.eye(3) == 1, np.nan, 1)[:, 2:], [0, 0, 0], 1, key)
