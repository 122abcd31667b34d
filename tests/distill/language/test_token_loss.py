"""Divergences of tokens against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


@pytest.fixture
def logits(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(2 * jax.random.normal(k, (2, 3, 4)) for k in jax.random.split(key))


def test_values(logits: tuple[jax.Array, jax.Array]) -> None:
    q, p = (scipy.special.softmax(np.asarray(x, np.float64) / 2, axis=-1) for x in logits)
    kl = scipy.special.rel_entr
    want = {
        "forward": kl(p, q), "reverse": kl(q, p), "skew": kl(p, 0.2 * p + 0.8 * q),
        "skew_reverse": kl(q, 0.8 * p + 0.2 * q),
    }  # fmt: skip
    w = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    for kind, values in want.items():
        got = distill.token_loss(*logits, kind=kind, skew=0.2, temperature=2, weights=jnp.asarray(w, jnp.float32))
        np.testing.assert_allclose(got, 4 * np.average(values.sum(-1), weights=w), rtol=1e-4)
    hinton = distill.soft_target_loss(*logits, temperature=2.0)
    np.testing.assert_allclose(distill.token_loss(*logits, temperature=2.0), hinton, rtol=1e-6)


def test_masked_vocabulary() -> None:
    student, teacher = jnp.array([[0.0, 1.0, -jnp.inf]]), jnp.array([[1.0, 0.0, -jnp.inf]])
    for kind in ("forward", "reverse", "skew", "skew_reverse"):
        got, slopes = jax.value_and_grad(lambda s, kind=kind: distill.token_loss(s, teacher, kind=kind))(student)
        np.testing.assert_allclose(got, distill.token_loss(student[:, :2], teacher[:, :2], kind=kind), rtol=1e-5)
        assert np.isfinite(slopes).all()


def test_bad_arguments(logits: tuple[jax.Array, jax.Array]) -> None:
    with pytest.raises(ValueError, match="kind='backward' must be one of forward"):
        distill.token_loss(*logits, kind="backward")
    with pytest.raises(ValueError, match="skew=1.* in .0, 1.; at the ends, use kind"):
        distill.token_loss(*logits, skew=1)
