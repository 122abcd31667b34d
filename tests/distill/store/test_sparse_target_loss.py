"""The loss on top tokens against brute force over merged classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill

STUDENT, TEACHER = jax.random.normal(jax.random.key(0), (2, 6, 9))


def targets(k):
    p = jax.nn.softmax(TEACHER)
    tokens = jnp.argsort(-p, axis=-1)[:, :k]
    kept = jnp.take_along_axis(p, tokens, -1)
    return tokens, jnp.log(kept), jnp.log1p(-kept.sum(-1))


def test_all_other_tokens_are_one_class():
    tokens, kept, rest = targets(3)
    exact = []
    for row in range(6):
        q, p = jax.nn.softmax(STUDENT[row]), jax.nn.softmax(TEACHER[row])
        others = [i for i in range(9) if i not in tokens[row]]
        pairs = [(p[i], q[i]) for i in tokens[row]] + [(sum(p[i] for i in others), sum(q[i] for i in others))]
        exact.append(sum(a * np.log(a / b) for a, b in pairs))
    np.testing.assert_allclose(distill.sparse_target_loss(STUDENT, tokens, kept, rest), np.mean(exact), rtol=1e-5)
    weights = jnp.array([1.0, 0, 0, 2, 0, 0])
    got = distill.sparse_target_loss(STUDENT.at[1].set(jnp.nan), tokens, kept, rest, weights=weights)
    np.testing.assert_allclose(got, (exact[0] + 2 * exact[3]) / 3, rtol=1e-5)


def test_it_bounds_the_whole_divergence_and_meets_it():
    whole = distill.token_loss(STUDENT, TEACHER)
    found = [float(distill.sparse_target_loss(STUDENT, *targets(k))) for k in (1, 4, 8)]
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(float(whole), rel=1e-5)
    slopes = jax.grad(lambda z: distill.sparse_target_loss(z, *targets(8)))(STUDENT)
    np.testing.assert_allclose(slopes, jax.grad(lambda z: distill.token_loss(z, TEACHER))(STUDENT), atol=1e-6)


@pytest.mark.thorough
def test_it_is_finite_at_large_logits():
    large = (1e4 * STUDENT).astype(jnp.bfloat16)
    value, slopes = jax.value_and_grad(lambda z: distill.sparse_target_loss(z, *targets(2)))(large)
    assert np.isfinite(float(value))
    assert np.isfinite(np.asarray(slopes, np.float32)).all()


def test_other_shapes_are_refused():
    tokens, kept, rest = targets(3)
    with pytest.raises(ValueError, match=r"rest \(5,\)"):
        distill.sparse_target_loss(STUDENT, tokens, kept, rest[:5])
    with pytest.raises(ValueError, match="fewer tokens than the vocabulary"):
        distill.sparse_target_loss(STUDENT, *targets(9))
