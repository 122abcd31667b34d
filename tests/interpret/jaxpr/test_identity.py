"""Operations that leave entries alone leave nodes compressed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from compressjax import interpret
from compressjax.interpret.jaxpr import _identity
from tests.interpret import samples


def test_stopped_gradients_stop_for_every_value() -> None:
    node = samples.low_rank(samples.rng(), (4, 3))
    x = samples.floats(samples.rng(1), 2, 4)

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(x @ jax.lax.stop_gradient(w)) + jnp.sum(jnp.sin(x) @ w[:, :1])

    grads = jax.grad(interpret.lift(f, on_fallback="raise"))(node, x)
    asked = jax.grad(lambda n: f(n.materialize(), x))(node)
    samples.assert_close(grads.left, asked.left)
    samples.assert_close(grads.right, asked.right)
    assert (np.asarray(asked.right)[:, 1:] == 0).all()
    assert samples.statuses(f, node, x) == {("dot_general", "native")}


def test_names_reach_policies() -> None:
    """A policy that saves what carries the name saves the factors, not the dense kernel."""
    node = samples.low_rank(samples.rng(), (40, 30))
    policy = jax.checkpoint_policies.save_only_these_names("kernel")

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(x @ checkpoint_name(w, "kernel")))

    g = jax.checkpoint(interpret.lift(f, on_fallback="raise"), policy=policy)
    text = str(jax.make_jaxpr(interpret.lift(f))(node, jnp.ones((2, 40))))
    assert text.count("name=kernel") == 2
    x = samples.floats(samples.rng(1), 2, 40)
    samples.assert_close(jax.grad(g, 1)(node, x), jax.grad(f, 1)(node.materialize(), x))


def test_barriers_keep_several_weights_apart_from_arrays() -> None:
    draw = samples.rng()
    a, b = samples.low_rank(draw, (4, 3)), samples.grid(draw, (4, 3), activation="dynamic")
    x = samples.floats(draw, 2, 4)

    def f(p: Any, x: jax.Array) -> jax.Array:
        a, x, b = jax.lax.optimization_barrier((p["a"], x, p["b"]))
        return x @ a + x @ b

    rows = interpret.explain(f)({"a": a, "b": b}, x)
    assert {(r.path, r.primitive, r.status) for r in rows} == {
        ("a", "dot_general", "native"),
        ("b", "dot_general", "native"),
    }
    samples.assert_close(
        interpret.lift(f)({"a": a, "b": b}, x), x @ a.materialize() + x @ b.materialize(), tolerance=0.02
    )
    assert "optimization_barrier" in str(jax.make_jaxpr(interpret.lift(f))({"a": a, "b": b}, x))


def test_copies_pass_through() -> None:
    node = samples.low_rank(samples.rng(), (4, 3))
    f = lambda w: jnp.ones((2, 4)) @ jnp.copy(w)  # noqa: E731
    assert samples.statuses(f, node) == {("dot_general", "native")}
    samples.assert_close(interpret.lift(f)(node), np.ones((2, 4)) @ np.asarray(node.materialize()))


def test_varying_marks_every_array_once() -> None:
    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    node = samples.low_rank(samples.rng(), (4, 3))

    def inside(node: Any) -> Any:
        once = _identity.vary(node, ("d",))
        twice = _identity.vary(once, ("d",))
        return twice.materialize()[None]

    spec = jax.sharding.PartitionSpec
    out = jax.shard_map(inside, mesh=mesh, in_specs=spec(), out_specs=spec("d"))(node)
    samples.assert_close(out[1], node.materialize())


def test_plain_arrays() -> None:
    x = samples.floats(samples.rng(), 3)
    for out in (_identity.stop(x), _identity.name(x, "x"), _identity.vary(x, ()), *_identity.barrier([x])):
        np.testing.assert_array_equal(out, x)
