"""Relations: loops, and what they do not depend on."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from compressjax import distill

W = np.array([1.0, 2.0, 0.5, 1.0, 3.0])


@pytest.fixture
def features(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(jax.random.normal(k, (5, n)) for k, n in zip(jax.random.split(key), (3, 4)))


def test_distance(features: tuple[jax.Array, jax.Array]) -> None:
    pairs = list(itertools.permutations(range(5), 2))
    weights = np.array([W[i] * W[j] for i, j in pairs])
    relative = []
    for x in (np.asarray(f, np.float64) for f in features):
        d = np.array([np.linalg.norm(x[i] - x[j]) for i, j in pairs])
        relative.append(d / np.average(d, weights=weights))
    want = np.average(scipy.special.huber(0.3, relative[0] - relative[1]), weights=weights)
    got = distill.rkd_distance_loss(*features, delta=0.3, weights=jnp.asarray(W, jnp.float32))
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_angle(features: tuple[jax.Array, jax.Array]) -> None:
    def cosine(x: np.ndarray, i: int, j: int, k: int) -> float:
        a, b = x[i] - x[j], x[k] - x[j]
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    triples = list(itertools.permutations(range(5), 3))
    s, t = (np.array([cosine(np.asarray(f, np.float64), *ijk) for ijk in triples]) for f in features)
    want = np.average(scipy.special.huber(0.5, s - t), weights=[W[i] * W[j] * W[k] for i, j, k in triples])
    got = distill.rkd_angle_loss(*features, delta=0.5, weights=jnp.asarray(W, jnp.float32))
    np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.parametrize("loss", [distill.rkd_distance_loss, distill.rkd_angle_loss])
def test_invariance(features: tuple[jax.Array, jax.Array], loss) -> None:
    student, teacher = features
    turned = 3.0 * student @ jnp.asarray(scipy.stats.ortho_group.rvs(3, random_state=0), jnp.float32)
    got = loss(turned + jnp.broadcast_to(jnp.array([1.0, -2.0, 0.5]), turned.shape), teacher)
    np.testing.assert_allclose(got, loss(student, teacher), rtol=1e-4)
    assert loss(student * jnp.array([[1.0, 30.0, 1.0]] * 5), teacher) != pytest.approx(float(got), rel=1e-2)


def test_bad_arguments(features: tuple[jax.Array, jax.Array]) -> None:
    with pytest.raises(ValueError, match="over the same 3 or more examples"):
        distill.rkd_angle_loss(*(x[:2] for x in features))
    with pytest.raises(ValueError, match="delta=0"):
        distill.rkd_distance_loss(*features, delta=0)
