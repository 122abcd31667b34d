"""Heads by path: shapes, and gradients through taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_student_learns_through_its_taps(key: jax.Array) -> None:
    """Heads of shapes alone, and gradients for student and heads but not for the teacher."""
    a, b, c = jax.random.split(key, 3)
    fn = lambda p, x: jnp.tanh(x @ p["u"]) @ p["v"]  # noqa: E731
    own = {"u": jax.random.normal(a, (3, 2)), "v": jax.random.normal(a, (2, 2))}
    its = {"u": jax.random.normal(b, (3, 4)), "v": jax.random.normal(b, (4, 2))}
    tapped, x = distill.taps(fn, select="[uv]"), jax.random.normal(c, (5, 3))
    shapes = [jax.eval_shape(tapped, p, x)[1] for p in (own, its)]
    heads = distill.init_project(c, *shapes)
    assert {path: head["kernel"].shape for path, head in heads.items()} == {"u": (2, 4)}

    def loss(p: dict, heads: dict, teacher: dict) -> jax.Array:
        student = distill.project(heads, tapped(p, x)[1])
        teacher = tapped(teacher, x)[1]
        return sum(distill.hint_loss(student[k], teacher[k]) for k in ("u", "v"))

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(own, heads, its)
    assert all(np.any(g) for g in jax.tree.leaves(slopes[:2]))
    assert not any(np.any(g) for g in jax.tree.leaves(slopes[2]))
    want = np.asarray(x, np.float64) @ np.asarray(own["u"]) @ np.asarray(heads["u"]["kernel"])
    np.testing.assert_allclose(distill.project(heads, {"u": x @ own["u"]})["u"], want, atol=1e-5)


def test_bad_arguments(key: jax.Array) -> None:
    layers = {"a": jnp.ones((2, 3))}
    with pytest.raises(ValueError, match=r"the teacher has no 'b'; it has \['a'\]"):
        distill.init_project(key, layers, layers, {"a": "b"})
    heads = distill.init_project(key, layers, {"a": jnp.ones((2, 4))})
    with pytest.raises(ValueError, match=r"maps of \['a'\], but activations of \['c'\]"):
        distill.project(heads, {"c": jnp.ones((2, 3))})
