"""Chains: who teaches whom, and a chain of linear models with a closed form."""

import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


class Held(np.ndarray):
    """Predictions that can be watched."""

    __hash__ = object.__hash__


def test_every_model_learns_from_the_one_before() -> None:
    seen = []

    def train(model: str, teacher: str | None) -> str:
        seen.append((model, teacher))
        return model.upper()

    found = distill.chain_of(train, iter(["a", "b", "c"]), predict=lambda m: f"logits of {m}", teacher="logits of T")
    assert found == ["A", "B", "C"]
    assert seen == [("a", "logits of T"), ("b", "logits of A"), ("c", "logits of B")]
    seen.clear()
    distill.chain_of(train, ["a", "b"], predict=lambda m: f"logits of {m}")
    assert seen == [("a", None), ("b", "logits of A")]


@pytest.mark.parametrize("function", [False, True])
def test_the_latest_teachers_teach_together(key: jax.Array, function: bool) -> None:
    logits = jax.random.normal(key, (4, 2, 3))

    def value(x: object) -> object:
        return x() if callable(x) else x

    def train(model: int, teacher: object) -> tuple[int, object]:
        return model, value(teacher)

    def predict(trained: tuple[int, object]) -> object:
        own = logits[trained[0]]
        return (lambda: own) if function else own

    first = (lambda: logits[3]) if function else logits[3]
    found = distill.chain_of(train, [0, 1, 2], predict=predict, teacher=first, together=2, temperature=4.0)
    np.testing.assert_array_equal(found[0][1], logits[3])
    for got, pair in ((found[1][1], [3, 0]), (found[2][1], [0, 1])):
        # The mean of probabilities is that of the loss, at its temperature.
        want = scipy.special.softmax(np.asarray(logits, np.float64)[pair] / 4, axis=-1).mean(0)
        np.testing.assert_allclose(scipy.special.softmax(np.asarray(got) / 4, axis=-1), want, rtol=1e-5)
    found = distill.chain_of(train, [0, 1], predict=predict, teacher=first, together=2, mean="logits")
    np.testing.assert_allclose(found[1][1], (logits[3] + logits[0]) / 2, rtol=1e-5)


def test_predictions_of_earlier_teachers_are_dropped() -> None:
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    most = []

    def predict(trained: int) -> np.ndarray:
        made = np.ones((2, 3)).view(Held)
        alive.add(made)
        return made

    def train(model: int, teacher: object) -> int:
        most.append(len(alive))
        return model

    distill.chain_of(train, range(5), predict=predict)
    assert most == [0, 1, 1, 1, 1]


def test_generations_of_ridge_regression_shrink_every_component_again(draw: np.random.Generator) -> None:
    """Self-distillation of a ridge regression multiplies component i by s_i^2 / (s_i^2 + c) every time."""
    x, y, c = draw.normal(size=(20, 4)), draw.normal(size=20), 3.0
    keys = []

    def init(key: jax.Array) -> np.ndarray:
        keys.append(jax.random.key_data(key).tolist())
        return np.zeros(4)

    def train(start: np.ndarray, teacher: np.ndarray | None) -> np.ndarray:
        goal = y if teacher is None else teacher
        return start + np.linalg.solve(x.T @ x + c * np.eye(4), x.T @ goal)

    found = distill.generations(train, init, jax.random.key(0), 3, predict=lambda w: x @ w)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    for i, w in enumerate(found):
        factors = (s**2 / (s**2 + c)) ** (i + 1) / s
        np.testing.assert_allclose(w, vt.T @ (factors * (u.T @ y)), rtol=1e-9)
    assert len({tuple(k) for k in keys}) == 3


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no models"):
        distill.chain_of(lambda m, t: m, [], predict=lambda m: m)
    with pytest.raises(ValueError, match="together=0"):
        distill.chain_of(lambda m, t: m, [1], predict=lambda m: m, together=0)
    with pytest.raises(ValueError, match="chain_of: mean='median'"):
        distill.chain_of(lambda m, t: m, [1], predict=lambda m: m, mean="median")
    with pytest.raises(ValueError, match="chain_of: temperature=0"):
        distill.chain_of(lambda m, t: m, [1], predict=lambda m: m, temperature=0)
    with pytest.raises(ValueError, match="count=0"):
        distill.generations(lambda m, t: m, lambda key: jnp.zeros(1), jax.random.key(0), 0, predict=lambda m: m)
