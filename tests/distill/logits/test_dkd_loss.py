"""DKD against its identity with Hinton's loss and a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill

LABELS = jnp.array([2, 0, 1])


@pytest.fixture
def logits(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return tuple(2 * jax.random.normal(k, (3, 4)) for k in jax.random.split(key))


def test_equals_hinton_at_its_weights(logits: tuple[jax.Array, jax.Array]) -> None:
    student, teacher = logits
    target = jnp.take_along_axis(distill.soft_targets(teacher, 3.0), LABELS[:, None], axis=-1)[:, 0]
    for weights in (None, jnp.array([1.0, 0.0, 3.0])):
        got = distill.dkd_loss(student, teacher, LABELS, temperature=3.0, beta=1 - target, weights=weights)
        want = distill.soft_target_loss(student, teacher, temperature=3.0, weights=weights)
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_value(logits: tuple[jax.Array, jax.Array]) -> None:
    student, teacher = (np.asarray(x, np.float64) for x in logits)
    want = 0.0
    for s, t, y in zip(student, teacher, np.asarray(LABELS)):
        p, q = scipy.special.softmax(t / 4), scipy.special.softmax(s / 4)
        rest = np.arange(4) != y
        binary = scipy.special.rel_entr([p[y], 1 - p[y]], [q[y], 1 - q[y]]).sum()
        others = scipy.special.rel_entr(scipy.special.softmax(t[rest] / 4), scipy.special.softmax(s[rest] / 4)).sum()
        want += 16 * (0.5 * binary + 2.0 * others) / 3
    np.testing.assert_allclose(distill.dkd_loss(*logits, LABELS, alpha=0.5, beta=2.0), want, rtol=1e-4)


def test_a_row_whose_other_classes_are_masked_has_the_part_of_the_target_alone(
    logits: tuple[jax.Array, jax.Array],
) -> None:
    student, teacher = logits
    masked = np.where(np.arange(3)[:, None] == 1, np.where(np.arange(4) == 0, teacher, -np.inf), teacher)
    both = jax.jit(jax.value_and_grad(lambda s, t, w: distill.dkd_loss(s, t, LABELS, weights=w)))
    value, slope = both(jnp.where(jnp.isinf(masked), -jnp.inf, student), masked, jnp.ones(3))
    rest = both(student, teacher, jnp.array([1.0, 0.0, 1.0]))[0]
    np.testing.assert_allclose(value, 2 / 3 * rest, rtol=1e-5)
    assert np.isfinite(slope).all()
    assert not np.any(slope[1])
    # A student that is unsure where the teacher has one class alone.
    value, slope = both(student, masked, jnp.array([0.0, 1.0, 0.0]))
    want = -16 * scipy.special.log_softmax(np.asarray(student, np.float64)[1] / 4)[0]
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert np.isfinite(slope).all()


def test_bad_arguments(logits: tuple[jax.Array, jax.Array]) -> None:
    for given, words in [
        ({"alpha": -1}, "alpha=-1"), ({"beta": -1}, "beta=-1"), ({"temperature": 0}, "temperature=0"),
        ({"beta": jnp.ones(2)}, "beta .2,. do not broadcast"), ({"labels": jnp.ones(3)}, "of float32 do not match"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=words):
            distill.dkd_loss(*logits, **{"labels": LABELS, **given})
    with pytest.raises(ValueError, match="have one class"):
        distill.dkd_loss(*(x[:, :1] for x in logits), LABELS)
