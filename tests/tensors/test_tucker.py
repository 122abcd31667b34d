"""Tucker: einsum as the second opinion, convolutions that run as three, layout moves, shares of devices."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import interpret, tensors
from compressjax.core import Dense, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples

NUMBERS = ("NHWC", "HWIO", "NHWC")


def kernel(seed: int = 0) -> tensors.Tucker:
    return tensors.Tucker(*(helpers.array(seed + i, s) for i, s in enumerate([(6, 2), (3, 1, 2, 3), (3, 8)])))


def conv(w, x, spec=NUMBERS, **settings):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=spec, **settings)


def test_convolutions_run_natively_in_every_layout():
    node, x = kernel(), helpers.array(9, (2, 5, 4, 6))
    asked = conv(node.materialize(), x)

    def three(w, x):
        moved = conv(jnp.transpose(w, (3, 2, 0, 1)), jnp.transpose(x, (0, 3, 1, 2)), ("NCHW", "OIHW", "NCHW"))
        back = conv(jnp.swapaxes(w, 2, 3), x[..., :1] * jnp.ones((1, 1, 1, 8)))  # outputs as inputs
        return conv(w, x), jnp.transpose(moved, (0, 2, 3, 1)), back

    outs = jax.jit(interpret.lift(three, on_fallback="raise"))(node, x)
    np.testing.assert_allclose(outs[0], asked, atol=1e-4)
    np.testing.assert_allclose(outs[1], asked, atol=1e-4)
    np.testing.assert_allclose(outs[2], three(node.materialize(), x)[2], atol=1e-4)
    assert samples.statuses(conv, node, x) == {("conv_general_dilated", "native")}
    grouped = lambda w, x: conv(w, x, feature_group_count=2)  # noqa: E731
    (row,) = interpret.explain(grouped)(node, helpers.array(9, (2, 5, 4, 12)))
    assert row.status == "dense"
    assert "grouped" in row.reason


def test_multiply_adds_are_those_of_three_convolutions():
    assert kernel().multiply_adds() == 6 * 2 + 3 * 2 * 3 + 3 * 8
    assert kernel().size_bits() == 32 * (6 * 2 + 3 * 2 * 3 + 3 * 8)


def test_products_over_any_axes():
    node = kernel()
    whole = helpers.brute(node)
    for spec, shape in [("ni,hwio->nhwo", (4, 6)), ("no,hwio->nhwi", (4, 8)), ("hni,hwio->hnwo", (3, 2, 6)),
                        ("nhwo,hwio->ni", (2, 3, 1, 8)), ("nio,hwio->nhw", (2, 6, 8))]:  # fmt: skip
        x = helpers.array(7, shape)
        out = samples.lifted(lambda w, x, spec=spec: jnp.einsum(spec, x, w))(node, x)
        np.testing.assert_allclose(out, np.einsum(spec, helpers.float64(x), whole), atol=1e-3, err_msg=spec)


def test_layout_moves():
    node = kernel()
    whole = helpers.brute(node)
    moves = {
        "transpose": (ops.transpose(node, (3, 0, 2, 1)), np.transpose(whole, (3, 0, 2, 1))),
        "merge": (ops.reshape(node, (3, 6, 8)), whole.reshape(3, 6, 8)),
        "split": (ops.reshape(node, (1, 3, 1, 6, 1, 8)), whole.reshape(1, 3, 1, 6, 1, 8)),
        "cut": (ops.cut(node, (None, None, ops.Window(1, 2, 2), ops.Window(3, 4))), whole[:, :, 1:4:2, 3:7]),
    }
    for name, (moved, asked) in moves.items():
        assert isinstance(moved, tensors.Tucker), name
        samples.assert_close(helpers.brute(moved), asked, name)
    assert isinstance(ops.reshape(node, (18, 8)), Dense)
    np.testing.assert_allclose(ops.rows(node, jnp.array([2, 0])), whole[[2, 0]], atol=1e-4)
    assert isinstance(ops.rows(ops.transpose(node, (3, 0, 1, 2)), jnp.array([0])), Dense)


def test_stacks_and_shares():
    stack = tensors.Tucker(*(helpers.array(i, s) for i, s in enumerate([(2, 4, 3), (2, 3, 2), (2, 2, 6)])))
    asked = helpers.brute(stack)
    both = ops.concatenate([stack, stack], 0)
    samples.assert_close(helpers.brute(both), np.concatenate([asked, asked]))
    np.testing.assert_allclose(ops.rows(stack, jnp.array([1])), asked[[1]], atol=1e-4)
    batched = samples.lifted(lambda w, x: jnp.einsum("bni,bio->bno", x, w))(stack, helpers.array(5, (2, 3, 4)))
    np.testing.assert_allclose(
        batched, np.einsum("bni,bio->bno", helpers.float64(helpers.array(5, (2, 3, 4))), asked), atol=1e-4
    )
    found = ops.specs(stack, Spec("layer", "in", "out"), {})
    assert (found.left, found.core, found.right) == (
        Spec("layer", "in", None), Spec("layer", None, None), Spec("layer", None, "out")
    )  # fmt: skip
    assert stack.misfit() == ""
    assert "inputs=-2" in stack.replace(right=helpers.array(0, (2, 3, 6))).misfit()
