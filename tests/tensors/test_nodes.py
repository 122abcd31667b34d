"""What every node must do, over the layouts of the conformance table: values, sizes, stacking, being a pytree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, tensors
from tests import helpers
from tests.conformance import nodes

CASES = [
    pytest.param(row, dtype, id=f"{row.name}-{dtype}", marks=() if i % 3 == j else pytest.mark.thorough)
    for i, row in enumerate(nodes.ROWS)
    for j, dtype in enumerate(nodes.DTYPES)
]


def draw(row: nodes.NodeRow, dtype: str, seed: int = 0) -> core.Node:
    return row.make(np.random.default_rng(seed), nodes.SIZES[seed % len(nodes.SIZES)], dtype)


@pytest.mark.turns(3)
@pytest.mark.parametrize(("row", "dtype"), CASES)
def test_materialize_matches_loops(row: nodes.NodeRow, dtype: str) -> None:
    for seed in range(len(nodes.SIZES)):
        node = draw(row, dtype, seed)
        dense = node.materialize()
        expected = helpers.brute(node)
        assert dense.shape == node.shape == expected.shape
        assert dense.dtype == node.dtype == jnp.dtype(dtype)
        # One rounding a term, each no larger than the sum of the terms' magnitudes.
        bound = row.terms(node) * helpers.epsilon(dtype) * np.abs(helpers.brute(_magnitude(node)))
        np.testing.assert_array_less(np.abs(helpers.float64(dense) - expected), bound + 1e-7)


def _magnitude(x: object) -> object:
    """The node whose every value is replaced by its magnitude, so that its entries bound the sums of terms."""
    if isinstance(x, tensors.Quantized):
        return jnp.abs(x.materialize())
    if isinstance(x, tuple):
        return tuple(map(_magnitude, x))
    if isinstance(
        x, tensors.LowRank | tensors.Sum | tensors.Tucker | tensors.CP | tensors.TensorTrain | tensors.Kronecker
    ):
        return x.replace(**{name: _magnitude(getattr(x, name)) for name, role in x.roles.items() if role == "value"})
    return jnp.abs(core.dense(x))


@pytest.mark.thorough
@pytest.mark.parametrize("row", nodes.ROWS, ids=lambda row: row.name)
def test_size_matches_the_second_opinion(row: nodes.NodeRow) -> None:
    for seed in range(len(nodes.SIZES)):
        node = draw(row, "bfloat16", seed)
        assert node.size_bits() == helpers.brute_bits(node)
        for kept in (0, 1, node.size // 2, node.size):
            assert node.size_bits(kept) == helpers.brute_bits(node, kept)


# One array serves all layers here, or axis 0 is not stored first: such nodes cannot be split for scan.
UNSPLIT = frozenset(
    (
        "scaled inputs, dynamic activations",
        "low rank", "low rank, one input and two output axes", "low rank, two input axes", "low rank conv",
        "grid, channel, transposed", "grid, group, affine, transposed", "grid, dynamic activations",
        "mxfp4, transposed", "ternary, dynamic activations", "block diagonal", "block diagonal of grids", "sum",
        "low rank of grids", "low rank of a masked and a codebook",
        "tucker conv", "cp conv", "cp", "tensor train", "kronecker", "weight norm",
        "vector codebook", "circulant", "hashed",
    )
)  # fmt: skip


@pytest.mark.parametrize("row", [row for row in nodes.ROWS if row.name in UNSPLIT], ids=lambda row: row.name)
def test_what_cannot_be_stacked_says_so(row: nodes.NodeRow) -> None:
    assert draw(row, "float32").stacked() is None


@pytest.mark.turns(2)
@pytest.mark.parametrize("row", [row for row in nodes.ROWS if row.name not in UNSPLIT], ids=lambda row: row.name)
def test_stacked_is_a_stack(row: nodes.NodeRow) -> None:
    node = row.make(np.random.default_rng(0), (2, 6, 2), "float32")
    stack = node.stacked()
    assert all(leaf.shape[0] == node.shape[0] for leaf in jax.tree.leaves(stack))
    whole = helpers.float64(node.materialize())
    vmapped = jax.vmap(lambda layer: layer.materialize())(stack)
    np.testing.assert_allclose(helpers.float64(vmapped), whole, rtol=1e-6, atol=1e-6)
    _, scanned = jax.lax.scan(lambda carry, layer: (carry, layer.materialize()), 0, stack)
    np.testing.assert_allclose(helpers.float64(scanned), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.turns(3)
@pytest.mark.parametrize("row", nodes.ROWS, ids=lambda row: row.name)
def test_pytree_round_trip(row: nodes.NodeRow) -> None:
    node = draw(row, "float16")
    leaves, structure = jax.tree.flatten(node)
    again = jax.tree.unflatten(structure, leaves)
    assert structure == jax.tree.structure(again)
    assert hash(structure) == hash(jax.tree.structure(draw(row, "float16")))
    abstract = jax.eval_shape(lambda n: n, node)
    assert (abstract.shape, abstract.dtype) == (node.shape, node.dtype)
    assert helpers.same_bits(again.materialize(), node.materialize())


@pytest.mark.turns(2)
@pytest.mark.parametrize("row", nodes.ROWS, ids=lambda row: row.name)
def test_frames_are_not_values(row: nodes.NodeRow) -> None:
    """Doubling all values does not change buffers, and buffers are never among the values."""
    node = draw(row, "float32")
    doubled = core.map_values(lambda path, x: 2 * x, {"w": node})["w"]

    def frames(x: object) -> list[object]:
        if isinstance(x, tuple):
            return [leaf for part in x for leaf in frames(part)]
        if not isinstance(x, core.Node):
            return []
        own = [getattr(x, name) for name, role in x.roles.items() if role == "buffer"]
        return own + [leaf for name, role in x.roles.items() if role == "value" for leaf in frames(getattr(x, name))]

    assert jax.tree.structure(doubled) == jax.tree.structure(node)
    assert helpers.difference(frames(doubled), frames(node)) == ""
    held = sum(leaf.size for leaf in jax.tree.leaves(node))
    assert held == sum(x.size for x in jax.tree.leaves(frames(node))) + sum(
        x.size for x in core.values({"w": node}).values()
    )


MISFITS = {
    "value has the shape (3, 4), the mask (4, 3)": lambda d: tensors.Masked(jnp.ones((3, 4)), jnp.ones((4, 3), bool)),
    "value has the shape (4,), the mask (3, 4)": lambda d: tensors.Masked(jnp.ones(4), jnp.ones((3, 4), bool)),
    "left has the shape (3, 2), right (3, 4)": lambda d: tensors.LowRank(jnp.ones((3, 2)), jnp.ones((3, 4))),
    "left has the shape (5, 3, 2), right (2, 2, 4)": lambda d: tensors.LowRank(
        jnp.ones((5, 3, 2)), jnp.ones((2, 2, 4))
    ),
    "scale has the shape (1, 3), the codes (3, 4)": lambda d: d.replace(scale=jnp.ones((1, 3))),
    "scale has the shape (4,), the codes (3, 4)": lambda d: d.replace(scale=jnp.ones(4)),
    "zero point has the shape (1, 1), the scale (1, 4)": lambda d: d.replace(zero_point=jnp.ones((1, 1), jnp.int32)),
    "order=(2, 0) does not permute": lambda d: d.replace(order=(2, 0)),
    "static activations need": lambda d: d.replace(activation="static"),
    "centroids have the shape (2, 3)": lambda d: tensors.Codebook(jnp.ones((2, 3)), jnp.zeros((3, 4), jnp.uint8)),
    "terms have the shapes [(3, 4), (4, 3)]": lambda d: tensors.Sum((jnp.ones((3, 4)), jnp.ones((4, 3)))),
    "the inputs (1, 3)": lambda d: tensors.BlockDiagonal(
        jnp.ones((2, 2, 2)), np.zeros((1, 3), np.uint8), np.zeros((2, 2), np.uint8)
    ),
    "Masked whose fields": lambda d: tensors.LowRank(
        tensors.Masked(jnp.ones((3, 2)), jnp.ones((2, 3), bool)), jnp.ones((2, 4))
    ),
}


@pytest.mark.parametrize("message", MISFITS)
def test_nodes_whose_fields_do_not_fit_are_refused_by_name(message: str) -> None:
    grid = tensors.Quantized(jnp.ones((3, 4), jnp.int8), jnp.ones((1, 4)))
    node = MISFITS[message](grid)
    with pytest.raises(ValueError, match=r"lift: 'a/w' is a .* fields do not fit") as error:
        interpret.lift(lambda p, x: x @ p["a"]["w"])({"a": {"w": node}}, jnp.ones((2, 3)))
    assert message in str(error.value)
