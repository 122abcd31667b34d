"""CP: einsum as the second opinion, convolutions, layout moves, shares of devices."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import interpret, tensors
from compressjax.core import Dense, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples
from tests.tensors.test_tucker import conv


def cp(*shape: int, rank: int = 3) -> tensors.CP:
    return tensors.CP(tuple(helpers.array(i, (n, rank)) for i, n in enumerate(shape)))


def test_convolutions_run_natively_in_every_layout():
    node, x = cp(3, 2, 6, 8), helpers.array(9, (2, 5, 4, 6))

    def two(w, x):
        moved = conv(jnp.transpose(w, (3, 2, 0, 1)), jnp.transpose(x, (0, 3, 1, 2)), ("NCHW", "OIHW", "NCHW"))
        return conv(w, x), jnp.transpose(moved, (0, 2, 3, 1))

    asked = conv(node.materialize(), x)
    for out in jax.jit(interpret.lift(two, on_fallback="raise"))(node, x):
        np.testing.assert_allclose(out, asked, atol=1e-3)
    assert samples.statuses(conv, node, x) == {("conv_general_dilated", "native")}
    assert node.multiply_adds() == 3 * (3 * 2 + 6 + 8)
    (row,) = interpret.explain(lambda w, x: conv(w, x, feature_group_count=2))(node, helpers.array(9, (2, 5, 4, 12)))
    assert "grouped" in row.reason


def test_products_over_any_axes():
    node = cp(4, 5, 6)
    whole = helpers.brute(node)
    for spec, shape in [("na,abc->nbc", (2, 4)), ("nc,abc->nab", (2, 6)), ("nca,abc->nb", (2, 6, 4))]:
        x = helpers.array(7, shape)
        out = samples.lifted(lambda w, x, spec=spec: jnp.einsum(spec, x, w))(node, x)
        np.testing.assert_allclose(out, np.einsum(spec, helpers.float64(x), whole), atol=1e-3, err_msg=spec)


def test_layout_moves():
    node = cp(4, 1, 6)
    whole = helpers.brute(node)
    moves = {
        "transpose": (ops.transpose(node, (2, 0, 1)), np.transpose(whole, (2, 0, 1))),
        "squeeze": (ops.reshape(node, (4, 6)), whole.reshape(4, 6)),
        "expand": (ops.reshape(node, (1, 4, 6, 1)), whole.reshape(1, 4, 6, 1)),
        "ones": (ops.reshape(cp(1, 1), (1, 1, 1)), helpers.brute(cp(1, 1)).reshape(1, 1, 1)),
        "cut": (ops.cut(node, (ops.Window(1, 2), None, ops.Window(0, 3, 2))), whole[1:3, :, ::2]),
    }
    for name, (moved, asked) in moves.items():
        assert isinstance(moved, tensors.CP), name
        samples.assert_close(helpers.brute(moved), asked, name)
    assert isinstance(ops.reshape(node, (24,)), Dense)
    np.testing.assert_allclose(ops.rows(node, jnp.array([3, 0])), whole[[3, 0]], atol=1e-4)


def test_stacks_and_shares():
    stack = tensors.CP((helpers.array(0, (2, 4, 3)), helpers.array(1, (2, 6, 3))))
    asked = helpers.brute(stack)
    samples.assert_close(helpers.brute(ops.concatenate([stack, stack], 0)), np.concatenate([asked, asked]))
    np.testing.assert_allclose(ops.rows(stack, jnp.array([1])), asked[[1]], atol=1e-4)
    found = ops.specs(stack, Spec("layer", "in", "out"), {})
    assert found.factors == (Spec("layer", "in", None), Spec("layer", "out", None))
    assert isinstance(ops.concatenate([cp(2, 3), cp(2, 3)], 0), Dense)
    assert "shapes" in tensors.CP((jnp.ones((2, 3)), jnp.ones((2, 2)))).misfit()
