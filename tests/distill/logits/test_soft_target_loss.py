"""The distillation loss against its closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from compressjax import distill


@pytest.fixture
def logits(key):
    a, b = jax.random.split(key)
    return jax.random.normal(a, (5, 7)), 2 * jax.random.normal(b, (5, 7))


def soft(z, t):
    return scipy.special.softmax(np.asarray(z, np.float64) / t, axis=-1)


def test_soft_targets(logits):
    np.testing.assert_allclose(distill.soft_targets(logits[0], 3.0), soft(logits[0], 3.0), rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.strict
def test_value(logits, temperature, alpha):
    student, teacher = logits
    labels = np.array([0, 3, 6, 1, 1])
    kl = scipy.stats.entropy(soft(teacher, temperature), soft(student, temperature), axis=-1).mean()
    ce = -np.log(soft(student, 1.0)[np.arange(5), labels]).mean()
    want = alpha * temperature**2 * kl + (1 - alpha) * ce
    got = distill.soft_target_loss(student, teacher, jnp.asarray(labels), temperature=temperature, alpha=alpha)
    assert got.shape == ()
    assert float(got) == pytest.approx(want, rel=2e-4)
    one_hot = jax.nn.one_hot(labels, 7)
    same = distill.soft_target_loss(student, teacher, one_hot, temperature=temperature, alpha=alpha)
    assert float(same) == pytest.approx(float(got), rel=1e-6)


def test_gradient_is_the_difference_of_probabilities(logits):
    student, teacher = logits
    t = 5.0
    got = jax.grad(lambda z: distill.soft_target_loss(z, teacher, temperature=t))(student)
    np.testing.assert_allclose(got, t * (soft(student, t) - soft(teacher, t)) / 5, atol=1e-6)


def test_high_temperature_matches_logits(logits):
    student, teacher = (z - z.mean(-1, keepdims=True) for z in logits)
    # float32 leaves KL at T = 100 three digits: it is a difference of size 1e-4.
    got = distill.soft_target_loss(student, teacher, temperature=100.0)
    want = float(jnp.mean(jnp.sum((student - teacher) ** 2, -1)) / (2 * 7))
    assert float(got) == pytest.approx(want, rel=0.03)
    slope = jax.grad(lambda z: distill.soft_target_loss(z, teacher, temperature=1000.0))(student)
    np.testing.assert_allclose(slope, (student - teacher) / (7 * 5), atol=2e-3)


def test_no_gradient_to_the_teacher(logits):
    assert not np.any(jax.grad(distill.soft_target_loss, argnums=1)(*logits))


def test_low_precision_logits_are_computed_in_float32(logits):
    got = distill.soft_target_loss(*(z.astype(jnp.bfloat16) for z in logits))
    assert got.dtype == jnp.float32
    assert float(got) == pytest.approx(float(distill.soft_target_loss(*logits)), rel=0.05)


def test_extreme_logits_stay_finite():
    loss, slope = jax.value_and_grad(distill.soft_target_loss)(jnp.array([[1e4, -1e4]]), jnp.array([[-1e4, 1e4]]))
    assert np.isfinite(loss)
    assert np.all(np.isfinite(slope))


def test_bad_arguments(logits):
    student, teacher = logits
    with pytest.raises(ValueError, match="differ in shape"):
        distill.soft_target_loss(student, teacher[:, :3])
    with pytest.raises(ValueError, match=r"alpha=1\.5"):
        distill.soft_target_loss(student, teacher, alpha=1.5)
    with pytest.raises(ValueError, match="temperature=0"):
        distill.soft_target_loss(student, teacher, temperature=0.0)
    with pytest.raises(ValueError, match=r"labels \(4,\)"):
        distill.soft_target_loss(student, teacher, jnp.zeros(4, int))
    with pytest.raises(ValueError, match="of float32"):
        distill.soft_target_loss(student, teacher, jnp.zeros(5))


@pytest.mark.parametrize("given", ["none", "integers", "probabilities"])
def test_masked_classes_add_nothing(given: str) -> None:
    """A class at -inf for both has probability 0, and 0 times infinity counts as 0; so do the gradients."""
    student, teacher = jnp.array([[1.0, 2.0, -jnp.inf]]), jnp.array([[2.0, 1.0, -jnp.inf]])
    labels = {"none": None, "integers": jnp.array([0]), "probabilities": jnp.array([[1.0, 0.0, 0.0]])}[given]

    def loss(student: jax.Array) -> jax.Array:
        return distill.soft_target_loss(student, teacher, labels, temperature=2.0)

    short = labels[..., :2] if given == "probabilities" else labels
    want = distill.soft_target_loss(student[:, :2], teacher[:, :2], short, temperature=2.0)
    got, slopes = jax.value_and_grad(loss)(student)
    assert np.isfinite(want)
    assert float(got) == pytest.approx(float(want), rel=1e-6)
    assert np.isfinite(slopes).all()
    assert slopes[0, 2] == 0


def test_what_the_teacher_excludes_costs_the_student_nothing() -> None:
    student, teacher = jnp.array([[0.0, 0.0]]), jnp.array([[0.0, -jnp.inf]])
    got, slopes = jax.value_and_grad(distill.soft_target_loss)(student, teacher, temperature=1.0)
    assert float(got) == pytest.approx(np.log(2), rel=1e-6)
    np.testing.assert_allclose(slopes, [[-0.5, 0.5]], rtol=1e-6)
    assert distill.soft_target_loss(teacher, student, temperature=1.0) == np.inf  # excluded by the student alone
