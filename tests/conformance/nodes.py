"""One row a node and layout: a factory from a seed, a size and a dtype to a node that holds drawn arrays."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from compressjax import core, quant, tensors
from compressjax.tensors.quantized._grid import storage_order
from tests import helpers

Size = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class NodeRow:
    """A node in one layout.

    Attributes:
        name: For the test report.
        make: `(rng, (a, b, c), dtype) -> node`; `a` and `b` are even, all are small.
        terms: How many products are added to form one entry; sets the rounding that materializing may do.
    """

    name: str
    make: Callable[[np.random.Generator, Size, str], core.Node]
    terms: Callable[[core.Node], int] = lambda node: 1


def _values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> jnp.ndarray:
    return jnp.asarray(rng.normal(size=shape), jnp.dtype(dtype))


def _mask(rng: np.random.Generator, shape: tuple[int, ...]) -> jnp.ndarray:
    return jnp.asarray(rng.random(shape) < rng.choice([0.0, 0.3, 0.7, 1.0]))


def _grid(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: str,
    blocks: tuple[int, ...] | None = None,
    *,
    affine: bool = False,
    bits: int = 8,
    order: tuple[int, ...] = (),
    activation: str | None = None,
) -> tensors.Quantized:
    """A `Quantized` with any codes of the grid; `blocks` counts the scales on each axis."""
    blocks = blocks or (1,) * len(shape)
    stored = tuple(shape[axis] for axis in storage_order(len(shape), order))
    low, high = (0, 2**bits) if affine else (1 - 2 ** (bits - 1), 2 ** (bits - 1))
    return tensors.Quantized(
        codes=jnp.asarray(rng.integers(low, high, stored), jnp.uint8 if affine else jnp.int8),
        scale=jnp.asarray(rng.uniform(0.01, 0.1, blocks), jnp.float32),
        zero_point=jnp.asarray(rng.integers(low, high, blocks), jnp.int32) if affine else None,
        activation_scale=jnp.float32(rng.uniform(0.01, 0.05)) if activation == "static" else None,
        bits=bits, order=order, activation=activation, dtype_name=dtype,
    )  # fmt: skip


def _format(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, name: str | int, **settings: object
) -> tensors.Quantized:
    """Drawn weights on a grid of some format."""
    return quant.rtn(name, **settings).encode({"w": _values(rng, shape, dtype)}, ())["w"]


def _codes(rng: np.random.Generator, shape: tuple[int, ...], k: int) -> jnp.ndarray:
    return jnp.asarray(rng.integers(0, k, shape), jnp.uint8)


def _scale(rng: np.random.Generator, shape: tuple[int, ...]) -> jnp.ndarray:
    """Scales near one: rounded activations are scaled first, and bounds on them know nothing of that."""
    return jnp.asarray(rng.uniform(0.9, 1.1, shape), jnp.float32)


def _rank_terms(node: core.Node) -> int:
    return node.left.shape[-1] + 1


def _low_rank_grid(rng: np.random.Generator, s: Size, dtype: str) -> tensors.LowRank:
    return tensors.LowRank(_grid(rng, (s[0], 2), dtype), _grid(rng, (2, s[1]), dtype, (1, s[1]), order=(1, 0)))


def _blocks(rng: np.random.Generator, s: Size, blocks: object) -> tensors.BlockDiagonal:
    def places(n: int) -> jnp.ndarray:
        lead = blocks.shape[:-3]
        drawn = [rng.permutation(n).reshape(2, n // 2) for _ in range(int(np.prod(lead)))]
        return jnp.asarray(np.reshape(drawn, (*lead, 2, n // 2)), jnp.uint8)

    return tensors.BlockDiagonal(blocks, places(s[0]), places(s[1]))


def _sum(rng: np.random.Generator, s: Size, dtype: str) -> tensors.Sum:
    low = tensors.LowRank(_values(rng, (s[0], 2), dtype), _values(rng, (2, s[1]), dtype))
    sparse = tensors.Masked(_values(rng, s[:2], dtype), _mask(rng, s[:2]))
    return tensors.Sum((low, sparse, _values(rng, s[:2], dtype)))


_MASKED = [
    NodeRow("masked", lambda r, s, d: tensors.Masked(_values(r, s[:2], d), _mask(r, s[:2]))),
    NodeRow("masked vector", lambda r, s, d: tensors.Masked(_values(r, s[:1], d), _mask(r, s[:1]))),
    NodeRow("masked conv", lambda r, s, d: tensors.Masked(_values(r, (3, 3, *s[:2]), d), _mask(r, (3, 3, *s[:2])))),
    NodeRow("masked batched", lambda r, s, d: tensors.Masked(_values(r, s, d), _mask(r, s))),
]
_LOW_RANK = [
    NodeRow(
        "low rank", lambda r, s, d: tensors.LowRank(_values(r, (s[0], 2), d), _values(r, (2, s[1]), d)), _rank_terms
    ),
    NodeRow(
        "low rank, one input and two output axes",
        lambda r, s, d: tensors.LowRank(_values(r, (s[0], 2), d), _values(r, (2, s[1], s[2]), d)),
        _rank_terms,
    ),
    NodeRow(
        "low rank, two input axes",
        lambda r, s, d: tensors.LowRank(_values(r, (s[0], s[1], 3), d), _values(r, (3, s[2]), d), inputs=2),
        _rank_terms,
    ),
    NodeRow(
        "low rank conv",
        lambda r, s, d: tensors.LowRank(_values(r, (3, 3, s[0], 2), d), _values(r, (2, s[1]), d), inputs=3),
        _rank_terms,
    ),
    NodeRow(
        "low rank batched",
        lambda r, s, d: tensors.LowRank(_values(r, (s[2], s[0], 2), d), _values(r, (s[2], 2, s[1]), d)),
        _rank_terms,
    ),
]
_QUANTIZED = [
    NodeRow("grid, tensor", lambda r, s, d: _grid(r, s[:2], d)),
    NodeRow("grid, tensor, affine, 4 bits", lambda r, s, d: _grid(r, s[:2], d, affine=True, bits=4)),
    NodeRow("grid, channel", lambda r, s, d: _grid(r, s[:2], d, (1, s[1]))),
    NodeRow("grid, channel, affine", lambda r, s, d: _grid(r, s[:2], d, (1, s[1]), affine=True)),
    NodeRow("grid, channel, transposed", lambda r, s, d: _grid(r, s[:2], d, (1, s[1]), order=(1, 0))),
    NodeRow("grid, group", lambda r, s, d: _grid(r, s[:2], d, (2, s[1]), bits=3)),
    NodeRow(
        "grid, group, affine, transposed",
        lambda r, s, d: _grid(r, s[:2], d, (s[0] // 2, s[1]), affine=True, bits=2, order=(1, 0)),
    ),
    NodeRow("grid conv", lambda r, s, d: _grid(r, (3, 3, *s[:2]), d, (1, 1, 1, s[1]))),
    NodeRow("grid batched", lambda r, s, d: _grid(r, (s[2], *s[:2]), d, (s[2], 1, s[1]), order=(1, 0))),
    NodeRow(
        "grid, dynamic activations",
        lambda r, s, d: _grid(r, s[:2], d, (1, s[1]), order=(1, 0), activation="dynamic"),
    ),
    NodeRow("grid, tensor, dynamic activations", lambda r, s, d: _grid(r, s[:2], d, activation="dynamic")),
    NodeRow(
        "grid, affine, dynamic activations",
        lambda r, s, d: _grid(r, s[:2], d, (1, s[1]), affine=True, activation="dynamic"),
    ),
    NodeRow("grid, static activations", lambda r, s, d: _grid(r, s[:2], d, (1, s[1]), activation="static")),
    NodeRow(
        "grid conv, dynamic activations",
        lambda r, s, d: _grid(r, (3, 3, *s[:2]), d, (1, 1, 1, s[1]), activation="dynamic"),
    ),
]
# Grids whose codes or scales are no plain integers and floats, each made as the method makes it.
_FORMATS = [
    NodeRow("nf4, double quantization", lambda r, s, d: _format(r, s[:2], d, "nf4", granularity=2, second=4, order=())),
    NodeRow("mxfp4, transposed", lambda r, s, d: _format(r, s[:2], d, "mxfp4", granularity=2, order=(1, 0))),
    NodeRow("mxfp6 conv", lambda r, s, d: _format(r, (3, 3, *s[:2]), d, "mxfp6_e3m2", granularity=2)),
    NodeRow("fp8 batched", lambda r, s, d: _format(r, (s[2], *s[:2]), d, "fp8_e4m3", axis=(0, 2), order=(1, 0))),
    NodeRow(
        "nvfp4 batched",
        lambda r, s, d: _format(r, (s[2], *s[:2]), d, "nvfp4", granularity=2, axis=(0, 2), second=4),
    ),
    NodeRow("ternary, dynamic activations", lambda r, s, d: _format(r, s[:2], d, "ternary", activation="dynamic")),
    NodeRow(
        "grid, powers of two, dynamic activations",
        lambda r, s, d: _format(r, s[:2], d, 8, scale="e8m0", order=(), activation="dynamic"),
    ),
    NodeRow(
        "grid, tiles, double quantization, dynamic activations",
        lambda r, s, d: _format(r, s[:2], d, 4, granularity=(2, 2), second=4, order=(), activation="dynamic"),
    ),
    NodeRow(
        "masked nf4",
        lambda r, s, d: tensors.Masked(_format(r, s[:2], d, "nf4", granularity=2, order=()), _mask(r, s[:2])),
    ),
]
_CODEBOOK = [
    NodeRow("codebook", lambda r, s, d: tensors.Codebook(_values(r, (5,), d), _codes(r, s[:2], 5))),
    NodeRow("codebook of one", lambda r, s, d: tensors.Codebook(_values(r, (1,), d), _codes(r, s[:2], 1))),
    NodeRow("codebook conv", lambda r, s, d: tensors.Codebook(_values(r, (4,), d), _codes(r, (3, 3, *s[:2]), 4))),
    NodeRow(
        "codebook batched", lambda r, s, d: tensors.Codebook(_values(r, (s[2], 4), d), _codes(r, (s[2], *s[:2]), 4))
    ),
    NodeRow("codebook on a grid", lambda r, s, d: tensors.Codebook(_grid(r, (6,), d), _codes(r, s[:2], 6))),
    NodeRow(
        "vector codebook",
        lambda r, s, d: tensors.VectorCodebook(_values(r, (1, 5, 2), d), _codes(r, (s[0] // 2, s[1]), 5), -2),
    ),
]
_PATTERNED = [
    NodeRow(
        "circulant",
        lambda r, s, d: tensors.Patterned(_values(r, (s[0] // 2, s[1] // 2, 2), d), s[:2], "circulant"),
        lambda node: 2,
    ),
    NodeRow("hashed", lambda r, s, d: tensors.Patterned(_values(r, (5,), d), s[:2], "hashed", 7)),
]
_BLOCK_DIAGONAL = [
    NodeRow("block diagonal", lambda r, s, d: _blocks(r, s, _values(r, (2, s[0] // 2, s[1] // 2), d))),
    NodeRow(
        "block diagonal batched",
        lambda r, s, d: _blocks(r, s, _values(r, (s[2], 2, s[0] // 2, s[1] // 2), d)),
    ),
    NodeRow(
        "block diagonal of grids",
        lambda r, s, d: _blocks(r, s, _grid(r, (2, s[0] // 2, s[1] // 2), d, (2, 1, s[1] // 2), activation="dynamic")),
    ),
]
_SCALED = [
    NodeRow("scaled inputs", lambda r, s, d: tensors.Scaled(_grid(r, s[:2], d, (1, s[1])), _scale(r, (s[0], 1)))),
    NodeRow("scaled outputs", lambda r, s, d: tensors.Scaled(_values(r, s[:2], d), _scale(r, (1, s[1])))),
    NodeRow(
        "scaled inputs, dynamic activations",
        lambda r, s, d: tensors.Scaled(
            _grid(r, s[:2], d, (1, s[1]), order=(1, 0), activation="dynamic"), _scale(r, (s[0], 1))
        ),
    ),
    NodeRow(
        "scaled groups of outputs, dynamic activations",
        lambda r, s, d: tensors.Scaled(_grid(r, s[:2], d, activation="dynamic"), _scale(r, (1, s[1] // 2))),
    ),
    NodeRow(
        "scaled on both sides",
        lambda r, s, d: tensors.Scaled(_grid(r, s[:2], d, activation="dynamic"), _scale(r, s[:2])),
    ),
    NodeRow(
        "scaled conv, inputs",
        lambda r, s, d: tensors.Scaled(_grid(r, (3, 3, *s[:2]), d, activation="dynamic"), _scale(r, (1, 1, s[0], 1))),
    ),
    NodeRow(
        "scaled conv, outputs",
        lambda r, s, d: tensors.Scaled(_grid(r, (3, 3, *s[:2]), d, activation="dynamic"), _scale(r, (1, 1, 1, s[1]))),
    ),
    NodeRow(
        "scaled batched",
        lambda r, s, d: tensors.Scaled(
            _grid(r, (s[2], *s[:2]), d, (s[2], 1, s[1]), order=(1, 0), activation="dynamic"), _scale(r, (s[2], s[0], 1))
        ),
    ),
]
_ROUNDED = [
    NodeRow(
        "rounded inputs, 4 bits, a step",
        lambda r, s, d: tensors.RoundedInputs(_values(r, s[:2], d), jnp.float32(r.uniform(0.5, 1.0)), bits=4),
    ),
    NodeRow(
        "rounded inputs, 8 bits, a grid", lambda r, s, d: tensors.RoundedInputs(_grid(r, s[:2], d, (1, s[1]), bits=4))
    ),
    NodeRow(
        "rounded inputs, 3 bits unsigned, a grid by groups",
        lambda r, s, d: tensors.RoundedInputs(
            _grid(r, s[:2], d, (2, s[1]), affine=True), jnp.float32(r.uniform(0.5, 1.0)), 3, False, "lsq"
        ),
    ),
    NodeRow(
        "rounded inputs, 8 bits unsigned, conv",
        lambda r, s, d: tensors.RoundedInputs(_grid(r, (3, 3, *s[:2]), d, (1, 1, 1, s[1])), signed=False),
    ),
    NodeRow(
        "rounded inputs, 5 bits, conv",
        lambda r, s, d: tensors.RoundedInputs(_grid(r, (3, 3, *s[:2]), d, (1, 1, 1, s[1])), jnp.float32(0.3), bits=5),
    ),
    NodeRow(
        "rounded inputs, 4 bits, batched",
        lambda r, s, d: tensors.RoundedInputs(
            _grid(r, (s[2], *s[:2]), d, (s[2], 1, s[1]), order=(1, 0)), bits=4, rule="lsq"
        ),
    ),
    NodeRow(
        "rounded inputs, a masked grid",
        lambda r, s, d: tensors.RoundedInputs(tensors.Masked(_grid(r, s[:2], d, bits=3), _mask(r, s[:2])), bits=6),
    ),
]
_FACTORS = [
    NodeRow(
        "tucker conv",
        lambda r, s, d: tensors.Tucker(_values(r, (s[0], 2), d), _values(r, (3, 3, 2, 3), d), _values(r, (3, s[1]), d)),
        lambda node: 8,
    ),
    NodeRow(
        "tucker batched",
        lambda r, s, d: tensors.Tucker(
            _values(r, (s[2], s[0], 2), d), _values(r, (s[2], 2, 3), d), _values(r, (s[2], 3, s[1]), d)
        ),
        lambda node: 8,
    ),
    NodeRow(
        "cp conv", lambda r, s, d: tensors.CP(tuple(_values(r, (n, 3), d) for n in (3, 3, *s[:2]))), lambda node: 6
    ),
    NodeRow("cp", lambda r, s, d: tensors.CP(tuple(_values(r, (n, 3), d) for n in s)), lambda node: 6),
    NodeRow(
        "tensor train",
        lambda r, s, d: tensors.TensorTrain(
            (_values(r, (1, s[0], 2, 3), d), _values(r, (3, 3, s[1], 1), d)), (3 * s[0],), (2 * s[1],)
        ),
        lambda node: 6,
    ),
    NodeRow(
        "tensor train batched",
        lambda r, s, d: tensors.TensorTrain(
            (_values(r, (s[2], 1, s[0] // 2, 1, 2), d), _values(r, (s[2], 2, 2, s[1], 1), d)), s[:1], s[1:2]
        ),
        lambda node: 6,
    ),
    NodeRow(
        "kronecker",
        lambda r, s, d: tensors.Kronecker(
            _values(r, (2, s[0] // 2, 2), d), _values(r, (2, 2, s[1]), d), s[:1], (2, s[1])
        ),
        lambda node: 4,
    ),
    NodeRow(
        "kronecker batched",
        lambda r, s, d: tensors.Kronecker(
            _values(r, (s[2], 2, s[0] // 2, 1), d), _values(r, (s[2], 2, 2, s[1]), d), s[:1], s[1:2]
        ),
        lambda node: 4,
    ),
    NodeRow(
        "weight norm",
        lambda r, s, d: tensors.WeightNorm(_values(r, s[:2], d), _values(r, (1, s[1]), d)),
        lambda node: node.size,
    ),
]
_NESTED = [
    NodeRow(
        "masked rounded inputs, a grid",
        lambda r, s, d: tensors.Masked(
            tensors.RoundedInputs(_grid(r, s[:2], d, bits=4), jnp.float32(0.7), bits=4), _mask(r, s[:2])
        ),
    ),
    NodeRow("masked scaled grid", lambda r, s, d: tensors.Masked(_SCALED[0].make(r, s, d), _mask(r, s[:2]))),
    NodeRow("sum", _sum, lambda node: 6),
    NodeRow("masked grid", lambda r, s, d: tensors.Masked(_grid(r, s[:2], d, (1, s[1])), _mask(r, s[:2]))),
    NodeRow(
        "masked codebook on a grid",
        lambda r, s, d: tensors.Masked(tensors.Codebook(_grid(r, (4,), d), _codes(r, s[:2], 4)), _mask(r, s[:2])),
    ),
    NodeRow("low rank of grids", _low_rank_grid, _rank_terms),
    NodeRow(
        "low rank of a masked and a codebook",
        lambda r, s, d: tensors.LowRank(
            tensors.Masked(_values(r, (s[0], 2), d), _mask(r, (s[0], 2))),
            tensors.Codebook(_values(r, (4,), d), _codes(r, (2, s[1]), 4)),
        ),
        _rank_terms,
    ),
    NodeRow(
        "sum of grids", lambda r, s, d: tensors.Sum((_grid(r, s[:2], d), _grid(r, s[:2], d, bits=4))), lambda node: 2
    ),
    NodeRow("masked twice", lambda r, s, d: tensors.Masked(_MASKED[0].make(r, s, d), _mask(r, s[:2]))),
]

ROWS = [
    *_MASKED,
    *_LOW_RANK,
    *_QUANTIZED,
    *_FORMATS,
    *_CODEBOOK,
    *_PATTERNED,
    *_BLOCK_DIAGONAL,
    *_SCALED,
    *_ROUNDED,
    *_FACTORS,
    *_NESTED,
]
DTYPES = helpers.FLOATS
SIZES: tuple[Size, ...] = ((4, 6, 2), (2, 2, 3), (8, 4, 1))


def classes_in(item: object) -> set[type]:
    """Node classes that occur in a node, at any depth."""
    found: set[type] = set()
    if isinstance(item, core.Node):
        found.add(type(item))
        for field in dataclasses.fields(item):
            found |= classes_in(getattr(item, field.name))
    elif isinstance(item, tuple):
        for part in item:
            found |= classes_in(part)
    return found
