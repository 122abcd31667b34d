"""The made-up teacher against NumPy and label smoothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from compressjax import distill

LABELS = jnp.array([2, 0, 1])


def test_value(key: jax.Array) -> None:
    z = jax.random.normal(key, (3, 4))
    made = np.full((3, 4), 0.05 / 3)
    made[np.arange(3), np.asarray(LABELS)] = 0.95
    x = np.asarray(z, np.float64)
    u, p = scipy.special.softmax(np.log(made) / 5, -1), scipy.special.softmax(x / 5, -1)
    ce = -scipy.special.log_softmax(x, -1)[np.arange(3), np.asarray(LABELS)].mean()
    want = 0.7 * ce + 0.3 * scipy.special.rel_entr(u, p).sum(-1).mean()
    got = distill.teacher_free_loss(z, LABELS, correct=0.95, temperature=5.0, alpha=0.3)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_at_temperature_one_the_gradient_is_that_of_label_smoothing(key: jax.Array) -> None:
    z = jax.random.normal(key, (3, 4))
    got = jax.grad(lambda z: distill.teacher_free_loss(z, LABELS, correct=0.925, temperature=1.0, alpha=1.0))(z)
    smooth = optax.smooth_labels(jax.nn.one_hot(LABELS, 4), 0.1)
    want = jax.grad(lambda z: optax.softmax_cross_entropy(z, smooth).mean())(z)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"), [({"correct": 1.0}, "correct=1.0"), ({"alpha": 2}, "alpha=2"), ({"temperature": -1}, "temper")]
)
def test_bad_arguments(given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        distill.teacher_free_loss(jnp.zeros((3, 4)), LABELS, **given)
    with pytest.raises(ValueError, match="two classes"):
        distill.teacher_free_loss(jnp.zeros((3, 1)), LABELS)
