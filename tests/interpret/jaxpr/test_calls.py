"""Calls that weights enter: jit, remat, custom derivatives, shard_map."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from compressjax import interpret
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples


@pytest.fixture
def node() -> Any:
    """Native in every product."""
    return samples.low_rank(samples.rng(), (4, 4))


@pytest.fixture
def x() -> jax.Array:
    """Rows."""
    return samples.floats(samples.rng(1), 3, 4)


def native(f: Any, *args: Any) -> bool:
    """Whether no weight was made dense."""
    return {status for _, status in samples.statuses(f, *args)} == {"native"}


def test_nested_jit(node: Any, x: jax.Array) -> None:
    inner = jax.jit(lambda w, x: jnp.tanh(x @ w))
    f = jax.jit(lambda w, x: inner(w, x) + inner(w.T, x))
    w = helpers.brute(node)
    samples.assert_close(interpret.lift(f)(node, x), np.tanh(x @ w) + np.tanh(x @ w.T))
    assert native(f, node, x)


@pytest.mark.parametrize(
    "policy",
    [None, jax.checkpoint_policies.dots_saveable, jax.checkpoint_policies.everything_saveable],
    ids=["none", "dots", "everything"],
)
def test_remat_keeps_its_policy(policy: Any, node: Any, x: jax.Array) -> None:
    def block(w: Any, x: jax.Array) -> jax.Array:
        return jnp.sin(jnp.sin(x @ w) @ w)

    f = lambda w, x: jnp.sum(jax.checkpoint(block, policy=policy)(w, x))  # noqa: E731
    grads = jax.grad(interpret.lift(f), (0, 1))(node, x)
    asked = jax.grad(lambda n, x: jnp.sum(block(n.materialize(), x)), (0, 1))(node, x)
    for got, dense in zip(jax.tree.leaves(grads), jax.tree.leaves(asked), strict=True):
        samples.assert_close(got, dense)
    assert native(f, node, x)
    (eqn,) = [e for e in jax.make_jaxpr(interpret.lift(f))(node, x).eqns if "remat" in e.primitive.name]
    assert eqn.params["policy"] is policy


def test_remat_recomputes_as_the_dense_program_does(node: Any, x: jax.Array) -> None:
    block = lambda w, x: jnp.sin(jnp.sin(x @ w) @ w)  # noqa: E731

    def sines(f: Any) -> int:
        return str(jax.make_jaxpr(jax.grad(lambda x: jnp.sum(f(node, x))))(x)).count(" sin ")

    once = sines(interpret.lift(block))
    again = sines(interpret.lift(jax.checkpoint(block, policy=jax.checkpoint_policies.nothing_saveable)))
    assert again > once


@jax.custom_vjp
def odd(w: jax.Array, x: jax.Array) -> jax.Array:
    """A product with a deliberately wrong custom derivative."""
    return x @ w


odd.defvjp(lambda w, x: (odd(w, x), (w, x)), lambda saved, g: (jnp.full_like(saved[0], 7.0), g @ saved[0].T * 3.0))


@jax.custom_jvp
def odder(w: jax.Array, x: jax.Array) -> jax.Array:
    """Another."""
    return x @ w


odder.defjvp(lambda primals, tangents: (odder(*primals), 5.0 * tangents[1] @ primals[0]))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint], ids=["plain", "jit", "remat"])
def test_custom_vjp_keeps_its_rule(wrap: Any, node: Any, x: jax.Array) -> None:
    f = wrap(odd)
    samples.assert_close(interpret.lift(f)(node, x), helpers.float64(x) @ helpers.brute(node))
    assert native(f, node, x)
    by_node, by_x = jax.grad(lambda n, x: jnp.sum(interpret.lift(f)(n, x)), (0, 1))(node, x)
    samples.assert_close(by_x, 3.0 * np.ones((3, 4)) @ helpers.brute(node).T)
    # The custom cotangent 7 of the dense kernel propagates to the factors.
    samples.assert_close(by_node.left, np.full((4, 4), 7.0) @ helpers.brute(node.right).T)
    samples.assert_close(by_node.right, helpers.brute(node.left).T @ np.full((4, 4), 7.0))


def test_custom_vjp_with_integer_activations(x: jax.Array) -> None:
    node = samples.grid(samples.rng(), (4, 4), (1, 4), activation="dynamic")
    value, grads = jax.value_and_grad(lambda n: jnp.sum(interpret.lift(odd)(n, x)), allow_int=True)(node)
    np.testing.assert_allclose(value, jnp.sum(interpret.lift(lambda w, x: x @ w)(node, x)), rtol=1e-5)
    codes = helpers.float64(node.codes)
    samples.assert_close(grads.scale, 7.0 * codes.sum(0, keepdims=True))


def test_custom_jvp_keeps_its_rule(node: Any, x: jax.Array) -> None:
    tangent = samples.floats(samples.rng(2), 3, 4)
    _, out = jax.jvp(lambda x: interpret.lift(odder)(node, x), (x,), (tangent,))
    samples.assert_close(out, 5.0 * np.asarray(tangent) @ helpers.brute(node))
    grads = jax.jit(jax.grad(lambda x: jnp.sum(jax.vmap(lambda x: interpret.lift(odder)(node, x))(x))))(x)
    samples.assert_close(grads, 5.0 * np.ones((3, 4)) @ helpers.brute(node).T)
    assert native(odder, node, x)


def test_custom_derivatives_with_static_arguments(node: Any, x: jax.Array) -> None:
    def product(scale: float, w: Any, x: jax.Array) -> jax.Array:
        return scale * (x @ w)

    f = jax.custom_vjp(product, nondiff_argnums=(0,))
    f.defvjp(lambda s, w, x: (f(s, w, x), x), lambda s, x, g: (0 * jnp.ones((4, 4)), 0 * x + s))
    grads = jax.grad(lambda x: jnp.sum(interpret.lift(lambda w, x: f(2.0, w, x))(node, x)))(x)
    np.testing.assert_array_equal(grads, np.full((3, 4), 2.0))


def test_second_derivatives(node: Any, x: jax.Array) -> None:
    def loss(w: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.nn.silu(x @ w) ** 2)

    got = jax.jit(jax.hessian(interpret.lift(loss), 1))(node, x)
    samples.assert_close(got, jax.jit(jax.hessian(loss, 1))(node.materialize(), x), tolerance=1e-4)


@pytest.fixture
def mesh() -> jax.sharding.Mesh:
    """Two devices."""
    return jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))


@pytest.mark.turns(3)
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("spec", [Spec(), Spec(None, "d"), Spec("d")], ids=str)
def test_shard_map_inside_the_function(spec: Spec, check: bool, mesh: jax.sharding.Mesh) -> None:
    """Each device runs natively on the share of the node that it would have had of the dense kernel."""
    x = samples.floats(samples.rng(1), 6, 8)
    rows = Spec("d") if spec == Spec() else Spec(None, "d") if spec[0] == "d" else Spec()
    out = Spec("d") if spec == Spec() else Spec() if spec[0] == "d" else Spec(None, "d")

    def each(w: Any, x: jax.Array) -> jax.Array:
        y = x @ w
        return jax.lax.psum(y, "d") if spec != Spec() and spec[0] == "d" else y

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jax.shard_map(each, mesh=mesh, in_specs=(spec, rows), out_specs=out, check_vma=check)(w, x)

    nodes = {**samples.zoo((8, 4)), **samples.active((8, 4))}
    got = samples.quick(samples.lifted(lambda ws, x: {k: f(w, x) for k, w in ws.items()}))(nodes, x)
    for name, node in nodes.items():
        rough = getattr(node, "activation", None)
        samples.assert_close(got[name], helpers.float64(x) @ helpers.brute(node), name, 0.05 if rough else 2e-5)
    node = nodes["low rank, 1 inputs"]
    assert native(f, node, x)
    grads = jax.jit(jax.grad(lambda n, x: jnp.sum(jnp.sin(interpret.lift(f)(n, x))), (0, 1)))(node, x)
    asked = jax.jit(jax.grad(lambda n, x: jnp.sum(jnp.sin(x @ n.materialize())), (0, 1)))(node, x)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(asked), strict=True):
        samples.assert_close(a, b)


def test_shard_map_of_groups_that_do_not_part(mesh: jax.sharding.Mesh) -> None:
    node = samples.grid(samples.rng(), (6, 4), (3, 4))
    f = jax.shard_map(lambda w: 2 * w, mesh=mesh, in_specs=Spec("d"), out_specs=Spec("d"))
    samples.assert_close(samples.lifted(f)(node), 2 * helpers.brute(node))
    (row,) = [r for r in interpret.explain(f)(node) if r.primitive == "shard_map"]
    assert row.status == "fallback"
    assert "group" in row.reason


def test_weights_that_shard_map_returns(mesh: jax.sharding.Mesh) -> None:
    node = samples.codebook(samples.rng(), 4, 6)
    f = jax.shard_map(lambda w: w.T, mesh=mesh, in_specs=Spec("d"), out_specs=Spec(None, "d"))
    samples.assert_close(samples.lifted(f)(node), helpers.brute(node).T)
