"""Pseudo-labels against loops over examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


def test_only_certain_labels_have_weight(key: jax.Array) -> None:
    logits = 3 * jax.random.normal(key, (2, 50, 4))
    found = jax.jit(lambda x, t: distill.pseudo_labels(x, threshold=t))(logits, 0.8)
    p = scipy.special.softmax(np.asarray(logits, np.float64), axis=-1)
    np.testing.assert_array_equal(found.labels, p.argmax(-1))
    np.testing.assert_array_equal(found.weights, p.max(-1) >= 0.8)
    np.testing.assert_allclose(found.confidence, p.max(-1), rtol=1e-5)
    assert 0 < found.weights.mean() < 1


def test_the_loss_of_the_strong_view_by_a_loop(key: jax.Array) -> None:
    strong, weak = 2 * jax.random.normal(key, (2, 12, 3))
    got, (to_strong, to_weak) = jax.value_and_grad(
        lambda s, w: distill.pseudo_label_loss(s, w, threshold=0.7), argnums=(0, 1)
    )(strong, weak)
    p, q = (scipy.special.softmax(np.asarray(x, np.float64), axis=-1) for x in (strong, weak))
    kept = [i for i in range(12) if q[i].max() >= 0.7]
    assert 0 < len(kept) < 12
    assert float(got) == pytest.approx(sum(-np.log(p[i, q[i].argmax()]) for i in kept) / 12, rel=1e-5)
    np.testing.assert_array_equal(np.any(to_strong, axis=1), np.isin(np.arange(12), kept))
    assert not np.any(to_weak)
    found = distill.pseudo_labels(weak, threshold=0.7)  # as weights of another loss, times their mean
    same = distill.soft_target_loss(strong, weak, found.labels, alpha=0.0, weights=found.weights) * found.weights.mean()
    assert float(same) == pytest.approx(float(got), rel=1e-5)


def test_as_many_of_every_class_and_the_most_certain_first(draw: np.random.Generator) -> None:
    labels, sure = draw.integers(0, 3, 40) * 2, draw.random(40)
    found = distill.balanced_rows(labels, sure, 5)
    np.testing.assert_array_equal(labels[found], np.repeat([0, 2, 4], 5))
    for part in found.reshape(3, 5):
        others = np.setdiff1d(np.flatnonzero(labels == labels[part[0]]), part)
        assert sure[part].min() > sure[others].max(initial=0)
    np.testing.assert_array_equal(distill.balanced_rows([1, 1], [0.2, 0.9], 5), [1, 0, 1, 0, 1])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="threshold=2"):
        distill.pseudo_labels(jnp.zeros((1, 2)), threshold=2)
    with pytest.raises(ValueError, match="of the same examples"):
        distill.pseudo_label_loss(jnp.zeros((1, 2)), jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="count=0"):
        distill.balanced_rows([1], [1.0], 0)
