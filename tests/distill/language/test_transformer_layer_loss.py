"""Layers of transformers against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_value(key: jax.Array) -> None:
    a, b, c, d, e = jax.random.split(key, 5)
    student = {"hidden": jax.random.normal(a, (2, 3, 4)), "attention": jax.random.normal(b, (2, 2, 3, 3))}
    teacher = {"hidden": jax.random.normal(c, (2, 3, 5)), "attention": jax.random.normal(d, (2, 2, 3, 3))}
    head = distill.init_hint(e, 4, 5)
    hidden = np.mean((np.asarray(student["hidden"]) @ np.asarray(head["kernel"]) - teacher["hidden"]) ** 2)
    maps = np.mean((np.asarray(student["attention"]) - teacher["attention"]) ** 2)
    got = distill.transformer_layer_loss(student, teacher, head, attention=0.5)
    np.testing.assert_allclose(got, hidden + 0.5 * maps, rtol=1e-5)
    part = [{"hidden": x["hidden"]} for x in (student, teacher)]
    np.testing.assert_allclose(distill.transformer_layer_loss(*part, head), hidden, rtol=1e-5)
    with pytest.raises(ValueError, match=r"student has \['hidden'\] and teacher \['attention', 'hidden'\]"):
        distill.transformer_layer_loss(part[0], teacher, head)


def test_masked_scores_count_nothing() -> None:
    """Causal masks are minus infinity or a large negative number."""
    scores = jnp.arange(9.0).reshape(1, 1, 3, 3)
    causal = jnp.tril(jnp.ones((3, 3), bool))[None, None]
    student, teacher = jnp.where(causal, scores, -jnp.inf), jnp.where(causal, scores + 3, -1e9)
    got, slopes = jax.value_and_grad(distill.attention_map_loss)(student, teacher)
    assert float(got) == pytest.approx(9 * 6 / 9)
    assert np.isfinite(slopes).all()


def test_bad_arguments() -> None:
    x = jnp.ones((2, 2, 3, 3))
    with pytest.raises(ValueError, match="average or choose heads"):
        distill.attention_map_loss(x, x[:, :1])
    with pytest.raises(ValueError, match="3 queries and 2 keys"):
        distill.attention_map_loss(x[..., :2], x[..., :2], weights=jnp.ones((2, 3)))
