"""What nodes of matrices share: sides that exchange, merge and split, and stacks."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from compressjax.core import Dense, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples


def nodes(*lead: int) -> list:
    array = lambda seed, *shape: helpers.array(seed, (*lead, *shape))  # noqa: E731
    return [
        tensors.Kronecker(array(0, 2, 3, 2), array(1, 2, 2, 5), (3, 2), (10,)),
        tensors.TensorTrain((array(2, 1, 3, 2, 3), array(3, 3, 2, 5, 1)), (3, 2), (10,)),
    ]


@pytest.mark.parametrize("node", nodes(), ids=["kronecker", "tensor train"])
def test_sides(node):
    whole = helpers.brute(node)
    moves = {
        "transpose": (ops.transpose(node, (2, 0, 1)), np.transpose(whole, (2, 0, 1))),
        "merge": (ops.reshape(node, (6, 10)), whole.reshape(6, 10)),
        "split": (ops.reshape(node, (6, 2, 5)), whole.reshape(6, 2, 5)),
    }
    for name, (moved, asked) in moves.items():
        assert type(moved) is type(node), name
        samples.assert_close(helpers.brute(moved), asked, name)
    for refused in (
        ops.transpose(node, (1, 0, 2)), ops.reshape(node, (60,)), ops.cut(node, (ops.Window(0, 2), None, None)),
        ops.rows(node, jnp.array([0])), ops.specs(node, Spec("d"), {"d": 3}), ops.concatenate([node, node], 0),
    ):  # fmt: skip
        assert isinstance(refused, Dense)
    for spec, shape in [("nab,abo->no", (4, 3, 2)), ("no,abo->nab", (4, 10)), ("nba,abo->no", (4, 2, 3))]:
        x, product = helpers.array(7, shape), lambda w, x, spec=spec: jnp.einsum(spec, x, w)
        assert samples.statuses(product, node, x) == {("dot_general", "native")}
        np.testing.assert_allclose(
            interpret.lift(product)(node, x), np.einsum(spec, helpers.float64(x), whole), atol=1e-3, err_msg=spec
        )


@pytest.mark.parametrize("node", nodes(4), ids=["kronecker", "tensor train"])
def test_stacks(node):
    whole = helpers.brute(node)
    samples.assert_close(helpers.brute(ops.cut(node, (ops.Window(1, 2), None, None, None))), whole[1:3])
    samples.assert_close(helpers.brute(ops.concatenate([node, node], 0)), np.concatenate([whole, whole]))
    np.testing.assert_allclose(ops.rows(node, jnp.array([2])), whole[[2]], atol=1e-4)
    assert {s[0] for s in (ops.specs(node, Spec("d"), {"d": 2})._fields())} == {"d"}
    assert isinstance(node.dot(jnp.ones((2, 3, 2)), core.Product((1, 2), (), (1, 2), ())), Dense)


def test_prepared_nodes_are_cheaper_than_dense_ones():
    """Of 2 terms and rank 3 here, products take more operations than the 60 entries; with one term they do not."""
    for node in nodes():
        assert node.multiply_adds() >= node.size
        np.testing.assert_array_equal(ops.prepare(node), node.materialize())
    small = tensors.Kronecker(jnp.ones((1, 6, 2)), jnp.ones((1, 8, 9)), (48,), (18,))
    assert type(ops.prepare(small)) is tensors.Kronecker
    assert nodes(4)[0].multiply_adds() == 4 * nodes()[0].multiply_adds()
