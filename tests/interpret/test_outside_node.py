"""A node from outside the package works like the package's own nodes, without other registration."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, interpret, measure, tensors
from compressjax.core import ops
from compressjax.core._node import node_types
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples


@core.node
class Scaled(core.Node):
    """`W_io = B_io s_o`, without native layout changes or convolutions."""

    base: Any = core.value()
    factor: Any = core.value()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.base.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.factor.dtype)

    def materialize(self) -> jax.Array:
        return core.dense(self.base) * self.factor[..., None, :]

    def dot(self, x: jax.Array, product: core.Product) -> Any:
        if product.sum != (0,):
            return core.Dense("the product sums over the scaled axis")
        out = ops.product(x, self.base, product)
        return out * jnp.broadcast_to(self.factor, out.shape)

    def stacked(self) -> "Scaled | None":
        return self if self.ndim == 3 else None

    def prepare(self) -> "Scaled":
        return Scaled(ops.prepare(self.base), self.factor)

    def multiply_adds(self) -> int:
        return ops.multiply_adds(self.base) + self.factor.size

    def specs(self, axes: tuple[Any, ...], sizes: Any) -> Any:
        return ops.rebuild(lambda b: Scaled(b, Spec(axes[-1])), ops.specs(self.base, axes, sizes))


def scaled(draw: Any, *shape: int, rank: int = 2) -> Scaled:
    base = samples.low_rank(draw, shape, batch=len(shape) - 2, rank=rank)
    return Scaled(base, samples.floats(draw, *shape[:-2], shape[-1]))


def brute(node: Scaled) -> np.ndarray:
    return helpers.brute(node.base) * helpers.float64(node.factor)[..., None, :]


def layer(w: Any, x: jax.Array) -> jax.Array:
    return x @ w


def test_its_product_runs_natively_and_so_do_those_of_nodes_inside() -> None:
    node, x = scaled(samples.rng(), 40, 30), samples.floats(samples.rng(1), 3, 40)
    samples.assert_close(interpret.lift(layer, on_fallback="raise")(node, x), helpers.float64(x) @ brute(node))
    (row,) = interpret.explain(layer)(node, x)
    assert (row.node, row.status) == ("Scaled(LowRank)", "native")
    assert "40x30" not in jax.jit(interpret.lift(layer)).lower(node, x).as_text()


def test_what_it_does_not_define_runs_dense_on_record() -> None:
    node, x = scaled(samples.rng(), 4, 6), samples.floats(samples.rng(1), 3, 6)
    ids = jnp.array([1, 0])
    reasons = {}
    for f, asked in (
        (lambda w, x: x @ w.T, helpers.float64(x) @ brute(node).T),
        (lambda w, x: w.reshape(24), brute(node).reshape(24)),
        (lambda w, x: w[1:3], brute(node)[1:3]),
        (lambda w, x: jnp.take(w, ids, axis=0), brute(node)[[1, 0]]),
        (lambda w, x: w.astype(jnp.float16).astype(jnp.float32), brute(node)),
    ):
        samples.assert_close(samples.lifted(f)(node, x), asked, tolerance=1e-3)
        reasons |= {r.primitive: r.reason for r in interpret.explain(f)(node, x) if r.status != "native"}
    assert set(reasons) == {"transpose", "reshape", "slice", "gather", "convert_element_type"}
    assert all("compressed form" in reason for reason in reasons.values())


def test_it_nests_in_every_node_that_holds_nodes() -> None:
    draw, x = samples.rng(), samples.floats(samples.rng(1), 3, 6)
    inner, mask = scaled(draw, 6, 4), samples.mask(draw, 6, 4)
    rest = samples.floats(draw, 4, 5)
    nodes = {
        "masked": (tensors.Masked(inner, mask), np.where(mask, brute(inner), 0), "dense"),
        "sum": (tensors.Sum((inner, inner)), 2 * brute(inner), "native"),
        "factor": (tensors.LowRank(inner, rest), brute(inner) @ helpers.float64(rest), "native"),
    }
    for name, (node, asked, status) in nodes.items():
        samples.assert_close(interpret.lift(layer)(node, x), helpers.float64(x) @ asked, name)
        assert samples.statuses(layer, node, x) == {("dot_general", status)}, name


def test_it_is_observed_through_prepared_scanned_counted_and_parted() -> None:
    node, x = scaled(samples.rng(), 4, 4), samples.floats(samples.rng(1), 3, 4)
    out, stats = interpret.observe(lambda p, x: layer(p["w"], x))({"w": node}, x)
    samples.assert_close(stats["w"].gram, helpers.float64(x).T @ helpers.float64(x))
    samples.assert_close(out, helpers.float64(x) @ brute(node))

    masked = Scaled(
        tensors.Masked(samples.floats(samples.rng(2), 4, 4), samples.mask(samples.rng(3), 4, 4)), jnp.ones(4)
    )
    ready = interpret.prepare({"w": masked})["w"]
    assert isinstance(ready, Scaled)
    assert isinstance(ready.base, jax.Array)

    stack = scaled(samples.rng(4), 3, 4, 4)
    loop = lambda w, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, w)[0]  # noqa: E731
    asked = helpers.float64(x)
    for each in brute(stack):
        asked = np.tanh(asked @ each)
    samples.assert_close(interpret.lift(loop, on_fallback="raise")(stack, x), asked)
    assert samples.statuses(loop, stack, x) == {("dot_general", "native")}

    assert measure.multiply_adds({"w": node})["w"] == (16, 2 * 4 * 2 + 4)
    specs = ops.specs(node, Spec(None, "d"), {"d": 2})
    assert (specs.base.right, specs.factor) == (Spec(None, "d"), Spec("d"))
    assert node_types()[f"{__name__}:Scaled"] is Scaled
