"""Contrastive losses against loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


@pytest.fixture
def features(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(jax.random.normal(k, (4, n)) for k, n in zip(jax.random.split(key), (3, 5)))


def through(x: jax.Array, head: dict) -> np.ndarray:
    out = np.asarray(x, np.float64) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


def test_info_nce(key: jax.Array, features: tuple[jax.Array, jax.Array]) -> None:
    heads = distill.init_contrastive(key, 3, 5, features=4)
    s, t = (through(x, heads[k]) for x, k in zip(features, ("student", "teacher")))
    want = -np.mean(np.diag(scipy.special.log_softmax(s @ t.T / 0.07, axis=1)))
    np.testing.assert_allclose(distill.info_nce_loss(*features, heads), want, rtol=1e-4)
    np.testing.assert_allclose(distill.contrastive_features(features[0], heads["student"]), s, atol=1e-5)


def test_crd(key: jax.Array, features: tuple[jax.Array, jax.Array]) -> None:
    heads = distill.init_contrastive(key, 3, 5, features=4)
    s, t = (through(x, heads[k]) for x, k in zip(features, ("student", "teacher")))
    memory = np.asarray(distill.contrastive_features(jax.random.normal(key, (6, 4))), np.float64)
    want = 0.0
    for a, b in zip(s, t):
        own, others = np.exp(a @ b / 0.5), np.exp(memory @ a / 0.5)
        noise = 6 / 20
        want -= (np.log(own / (own + noise)) + np.sum(np.log(1 - others / (others + noise)))) / 4
    for negatives in (memory, np.broadcast_to(memory, (4, 6, 4))):
        negatives = jnp.asarray(negatives, jnp.float32)
        got = distill.crd_loss(*features, negatives, heads, examples=20, temperature=0.5, normalizer=1.0)
        np.testing.assert_allclose(got, want, rtol=1e-4)
    # With negatives of the student, both sides are anchors.
    for a, b in zip(t, s):
        own, others = np.exp(a @ b / 0.5), np.exp(memory @ a / 0.5)
        want -= (np.log(own / (own + 0.3)) + np.sum(np.log(1 - others / (others + 0.3)))) / 4

    def both(student: jax.Array, teacher: jax.Array, heads: dict) -> jax.Array:
        return distill.crd_loss(
            student,
            teacher,
            negatives,
            heads,
            examples=20,
            student_negatives=negatives,
            temperature=0.5,
            normalizer=1.0,
        )

    got, slopes = jax.jit(jax.value_and_grad(both, argnums=(0, 1, 2)))(*features, heads)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    assert np.any(slopes[0])
    assert not np.any(slopes[1])
    assert all(np.any(slopes[2][side]["kernel"]) for side in ("student", "teacher"))  # both heads are trained


def test_crd_starts_where_scores_are_probabilities(key: jax.Array) -> None:
    """Examples that look alike are told from N negatives with probability 1 / (N + 1), however large the data are."""
    x, negatives = jnp.ones((2, 4)), jnp.full((6, 4), 0.5)
    for examples in (6, 60000):
        got = distill.crd_loss(x, x, negatives, examples=examples)
        np.testing.assert_allclose(got, np.log(7) + 6 * np.log(7 / 6), rtol=1e-5)
    # With one score e^(a / T) among others, the normalizer is their mean; no gradient flows through it.
    a, b = (distill.contrastive_features(jax.random.normal(k, (n, 4))) for k, n in zip(jax.random.split(key), (3, 5)))
    z = 20 * float(np.mean(np.exp(np.asarray(a, np.float64) @ np.asarray(b, np.float64).T / 0.07)))
    plain, fixed = (
        jax.value_and_grad(lambda s, z=z: distill.crd_loss(s, a, b, examples=20, normalizer=z))(a) for z in (None, z)
    )
    np.testing.assert_allclose(plain[0], fixed[0], rtol=1e-4)
    np.testing.assert_allclose(plain[1], fixed[1], rtol=1e-3, atol=1e-5)


def test_bad_arguments(key: jax.Array, features: tuple[jax.Array, jax.Array]) -> None:
    with pytest.raises(ValueError, match="differ in features; make heads"):
        distill.info_nce_loss(*features)
    heads = distill.init_contrastive(key, 3, 5, features=4)
    with pytest.raises(ValueError, match=r"negatives \(6, 3\) must be \[n, 4\]"):
        distill.crd_loss(*features, jnp.ones((6, 3)), heads, examples=20)
    with pytest.raises(ValueError, match="normalizer=-1.0"):
        distill.crd_loss(*features, jnp.ones((6, 4)), heads, examples=20, normalizer=-1.0)
    with pytest.raises(ValueError, match="examples=0"):
        distill.crd_loss(*features, jnp.ones((6, 4)), heads, examples=0)
