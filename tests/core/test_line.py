"""One line for every node, whatever its fields hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from compressjax import core, tensors
from compressjax.core._line import count_nonzero, short

CODES = np.zeros((300, 100), np.uint8)
TABLE = tensors.Codebook(np.zeros(16, np.float32), CODES)
MASKED = tensors.Masked(TABLE, np.arange(30000).reshape(300, 100) % 10 == 0)
THIN = tensors.LowRank(np.zeros((512, 64), np.float32), np.zeros((64, 512), np.float32))
GRID = tensors.Quantized(np.zeros((64, 512), np.int8), np.ones((1, 64), np.float32), order=(1, 0), activation="dynamic")


@core.node
class Blocks(core.Node):
    """A node of a user's own, who says nothing about its printed form."""

    blocks: object = core.value()
    extra: object = core.buffer(default=None)
    count: int = core.meta(default=3)

    @property
    def shape(self):
        return tuple(self.blocks.shape)

    @property
    def dtype(self):
        return self.blocks.dtype


@pytest.mark.parametrize(
    ("node", "line"),
    [
        (THIN, "LowRank(float32[512,512], rank 64, 8 bits/weight)"),
        (MASKED, "Masked(Codebook(float32[300,100], k=16), 90% zeros, 1.417 bits/weight)"),
        (
            tensors.LowRank(GRID, THIN.right),
            "LowRank(float32[512,512], rank 64, left=Quantized(float32[512,64], 8 bits, scale [1, 64], dynamic "
            "activations), 5.008 bits/weight)",
        ),
        (
            tensors.Sum((THIN, np.zeros((512, 512), np.float32))),
            "Sum(float32[512,512], terms=(LowRank(float32[512,512], rank 64), float32[512,512]), 40 bits/weight)",
        ),
        (
            tensors.BlockDiagonal(np.zeros((3, 2, 4), np.float32), CODES[:3, :2], CODES[:3, :4]),
            "BlockDiagonal(float32[6,12], 3 blocks, 11.58 bits/weight)",
        ),
        (
            tensors.Scaled(THIN, np.ones((512, 1), np.float32)),
            "Scaled(float32[512,512], scale [512, 1], inner=LowRank(float32[512,512], rank 64), 8.062 bits/weight)",
        ),
        (
            tensors.RoundedInputs(THIN, np.float32(0.5), bits=4, signed=False),
            "RoundedInputs(LowRank(float32[512,512], rank 64), inputs of 4 bits, unsigned, one step, 8 bits/weight)",
        ),
        (Blocks(jnp.zeros(2), {"a": np.ones(2)}, 5), "Blocks(float32[2], blocks=float32[2], extra=dict, count=5)"),
        (Blocks(TABLE), "Blocks(float32[300,100], count=3, blocks=Codebook(float32[300,100], k=16))"),
        (tensors.Masked(np.zeros((0, 3)), np.ones((0, 3), bool)), "Masked(float64[0,3], mask=bool[0,3])"),
    ],
)  # fmt: skip
def test_a_node_is_one_line_without_arrays(node: core.Node, line: str) -> None:
    assert repr(node) == str(node) == line
    assert str({"a": [node]}) == f"{{'a': [{line}]}}"


def test_fields_may_be_anything() -> None:
    """Abstract and traced arrays keep the line, but nobody counts their masks; other fields are shown by name."""
    hidden = "Masked(Codebook(float32[300,100], k=16), mask=bool[300,100])"
    assert repr(jax.eval_shape(lambda x: x, MASKED)) == hidden
    seen = []
    jax.eval_shape(lambda n: seen.append(repr(n)), MASKED)
    jax.vmap(lambda n: seen.append(repr(n)))(tensors.LowRank(jnp.zeros((2, 3, 1)), jnp.zeros((2, 1, 4))))
    assert seen == [hidden, "LowRank(float32[3,4], rank 1, 18.67 bits/weight)"]
    spec = PartitionSpec("data", None)
    assert repr(jax.tree.map(lambda x: spec, THIN)) == f"LowRank(left={spec!r}, right={spec!r}, inputs=1)"
    assert repr(jax.tree.map(lambda x: None, MASKED)) == "Masked(value=Codebook(centroids=None, codes=None), mask=None)"
    assert repr(jax.tree.map(lambda x: 0, tensors.Sum((THIN,)))) == "Sum(terms=(LowRank(left=0, right=0, inputs=1)))"


def test_a_deleted_or_large_mask_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = jnp.array([True, False])
    assert count_nonzero(mask) == 1
    monkeypatch.setattr("compressjax.core._line._COUNTED", 1)
    assert count_nonzero(mask) is None
    assert repr(tensors.Masked(jnp.zeros(2), mask)) == "Masked(float32[2], mask=bool[2])"
    monkeypatch.undo()
    mask.delete()
    assert repr(tensors.Masked(jnp.zeros(2), mask)) == "Masked(float32[2], mask=bool[2])"


def test_short_hides_what_is_long_and_survives_what_raises() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert [short(x) for x in (Broken(), "x" * 99, np.float32, tuple(range(9)), jax.random.key(0))] == [
        "Broken", "str", "float32", "(0, 1, 2, 3, ...)", "key<fry>[]",
    ]  # fmt: skip
