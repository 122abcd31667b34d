"""Mutual learning against scipy, its two-student identity, and the gradients of every student."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from compressjax import distill

LABELS = jnp.array([1, 0, 3, 2])


@pytest.fixture
def logits(key: jax.Array) -> list[jax.Array]:
    return list(2 * jax.random.normal(key, (3, 4, 5)))


def soft(z: jax.Array, t: float) -> np.ndarray:
    return scipy.special.softmax(np.asarray(z, np.float64) / t, axis=-1)


@pytest.mark.parametrize("peers", ["each", "mean"])
def test_value(logits: list[jax.Array], peers: str) -> None:
    got = distill.mutual_losses(logits, LABELS, peers=peers, temperature=2.0, strength=0.3)
    for k, own in enumerate(logits):
        p = soft(own, 2.0)
        others = [soft(z, 2.0) for j, z in enumerate(logits) if j != k]
        if peers == "each":
            far = np.mean([scipy.stats.entropy(q, p, axis=-1).mean() for q in others])
        else:
            far = scipy.stats.entropy(np.mean(others, axis=0), p, axis=-1).mean()
        entropy = -np.log(soft(own, 1.0)[np.arange(4), np.asarray(LABELS)]).mean()
        assert float(got[k]) == pytest.approx(entropy + 0.3 * 4 * far, rel=1e-5)


def test_two_students_are_each_the_teacher_of_the_other(logits: list[jax.Array]) -> None:
    a, b = logits[:2]
    got = distill.mutual_losses([a, b], temperature=3.0)
    want = [distill.soft_target_loss(a, b, temperature=3.0), distill.soft_target_loss(b, a, temperature=3.0)]
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(distill.mutual_losses([a, b], temperature=3.0, peers="mean"), want, rtol=1e-5)


def test_every_student_learns_from_its_own_loss_alone(logits: list[jax.Array]) -> None:
    slopes = jax.jacrev(lambda z: jnp.stack(distill.mutual_losses(z, LABELS)))(logits)
    for k, slope in enumerate(slopes):
        np.testing.assert_array_equal(np.any(slope, axis=(1, 2)), np.arange(3) == k)


def test_bad_arguments(logits: list[jax.Array]) -> None:
    with pytest.raises(ValueError, match="two or more students"):
        distill.mutual_losses(logits[:1])
    with pytest.raises(ValueError, match="of one shape"):
        distill.mutual_losses([logits[0], logits[1][:, :2]])
    with pytest.raises(ValueError, match="peers='all'"):
        distill.mutual_losses(logits, peers="all")
    with pytest.raises(ValueError, match="strength=-1"):
        distill.mutual_losses(logits, strength=-1)
