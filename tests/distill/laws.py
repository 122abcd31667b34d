"""What every loss keeps: a float32 scalar, no gradient to the teacher, weights that mask, and finite extremes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

KEPT = np.array([0, 1, 3])  # entry 2 has weight 0


class Row(NamedTuple):
    """A loss `(student, teacher, extra, weights, temperature)`, and what it takes for four examples."""

    loss: Callable[..., jax.Array]
    student: Any  # shape, or a tree of shapes
    teacher: Any
    extra: Any = None  # arrays with a leading axis of examples
    teaches: bool = True  # whether there is a teacher


def drawn(key: jax.Array, shapes: Any) -> Any:
    """Normal arrays of shapes in a tree."""
    leaves, tree = jax.tree.flatten(shapes, is_leaf=lambda x: isinstance(x, tuple) and isinstance(x[0], int))
    return tree.unflatten([jax.random.normal(k, s) for k, s in zip(jax.random.split(key, len(leaves)), leaves)])


def check(row: Row, key: jax.Array) -> None:
    """Checks one loss against all laws, with two compilations."""
    a, b = jax.random.split(key)
    student, teacher = drawn(a, row.student), drawn(b, row.teacher)
    weights = jnp.array([1.0, 2.0, 0.0, 0.5])

    def slopes(s: Any, t: Any, w: Any, temperature: Any) -> Any:
        return jax.value_and_grad(lambda s, t: row.loss(s, t, row.extra, w, temperature), argnums=(0, 1))(s, t)

    both = jax.jit(slopes)
    value, (to_student, to_teacher) = both(student, teacher, weights, 2.0)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(to_student))
    assert any(np.any(g) for g in jax.tree.leaves(to_student))
    assert not any(np.any(g) for g in jax.tree.leaves(to_teacher))

    # What has no weight does not matter, whatever it is, and gets no gradient.
    spoiled = [jax.tree.map(lambda x: x.at[2].set(jnp.nan), x) for x in (student, teacher)]
    same, (to_spoiled, _) = both(*spoiled, weights, 2.0)
    np.testing.assert_array_equal(same, value)
    jax.tree.map(np.testing.assert_array_equal, to_spoiled, to_student)
    assert not any(np.any(g[2]) for g in jax.tree.leaves(to_spoiled))

    # Without it, the loss is the same.
    rest = [jax.tree.map(lambda x: x[KEPT], x) for x in (student, teacher, row.extra)]
    alone = jax.jit(lambda s, t, e, w: row.loss(s, t, e, w, 2.0))(*rest, weights[KEPT])
    np.testing.assert_allclose(value, alone, rtol=1e-5, atol=1e-7)

    nothing, (to_nothing, _) = both(*spoiled, jnp.zeros(4), 2.0)
    assert nothing == 0
    assert not any(np.any(g) for g in jax.tree.leaves(to_nothing))

    extreme = [jax.tree.map(lambda x: 1e4 * x, x) for x in (student, teacher)]
    value, (to_extreme, _) = both(*extreme, jnp.ones(4), 0.1)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(to_extreme))
    _in_float32(row, student, teacher)

    with pytest.raises(ValueError, match=r"weights \(7,\) do not broadcast"):
        row.loss(student, teacher, row.extra, jnp.ones(7), 2.0)
    if row.teaches:
        few = jax.tree.map(lambda x: x[:3], teacher)
        with pytest.raises(ValueError, match="teacher"):
            row.loss(student, few, row.extra, None, 2.0)


def _in_float32(row: Row, student: Any, teacher: Any) -> None:
    """Low precision ends at the door: nothing is computed in bfloat16."""
    low = [jax.tree.map(lambda x: x.astype(jnp.bfloat16), x) for x in (student, teacher)]
    program = jax.make_jaxpr(lambda s, t: row.loss(s, t, row.extra, None, 2.0))(*low)
    assert program.out_avals[0].dtype == jnp.float32
    moves = {"convert_element_type", "reshape", "transpose", "stop_gradient", "jit", "pjit", "squeeze"}
    for eqn in program.jaxpr.eqns:
        if any(getattr(x.aval, "dtype", None) == jnp.bfloat16 for x in eqn.invars):
            assert eqn.primitive.name in moves, eqn
