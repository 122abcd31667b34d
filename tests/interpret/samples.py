"""Every kind of node for any dense shape, with NumPy references: shared by the tests of the interpreter."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compressjax import interpret, tensors
from compressjax.core import Dense
from compressjax.tensors.quantized._grid import storage_order
from tests import helpers

Draw = np.random.Generator


def rng(seed: int = 0) -> Draw:
    """NumPy's generator, so that no test draws from the library under test."""
    return np.random.default_rng(seed)


def put(x: Any, dtype: Any) -> jax.Array:
    """NumPy's numbers on the device; converting them there would compile a program for every shape."""
    return jax.device_put(np.asarray(x, dtype))


def floats(draw: Draw, *shape: int) -> jax.Array:
    """Normal numbers, float32."""
    return put(draw.normal(size=shape), np.float32)


def mask(draw: Draw, *shape: int) -> jax.Array:
    """About half of the entries."""
    return put(draw.random(shape) < 0.5, bool)


def grid(
    draw: Draw, shape: tuple[int, ...], blocks: tuple[int, ...] | None = None, *, order: tuple[int, ...] = (),
    affine: bool = False, bits: int = 8, activation: str | None = None, dtype: str = "float32",
) -> tensors.Quantized:  # fmt: skip
    """Any codes of the grid; `blocks` counts the scales on each axis."""
    blocks = blocks or (1,) * len(shape)
    stored = tuple(shape[axis] for axis in storage_order(len(shape), order))
    low, high = (0, 2**bits) if affine else (1 - 2 ** (bits - 1), 2 ** (bits - 1))
    return tensors.Quantized(
        codes=put(draw.integers(low, high, stored), np.uint8 if affine else np.int8),
        scale=put(draw.uniform(0.005, 0.02, blocks), np.float32),
        zero_point=put(draw.integers(low, high, blocks), np.int32) if affine else None,
        activation_scale=put(0.02, np.float32) if activation == "static" else None,
        bits=bits, order=order, activation=activation, dtype_name=dtype,
    )  # fmt: skip


def codebook(draw: Draw, *shape: int, table: Any = None) -> tensors.Codebook:
    """Five centroids, or those of `table`."""
    table = floats(draw, 5) if table is None else table
    return tensors.Codebook(table, put(draw.integers(0, table.shape[-1], shape), np.uint8))


def low_rank(draw: Draw, shape: tuple[int, ...], inputs: int = 1, batch: int = 0, rank: int = 2) -> tensors.LowRank:
    """Factors over `inputs` axes after `batch` shared ones."""
    k = batch + inputs
    return tensors.LowRank(
        floats(draw, *shape[:k], rank), floats(draw, *shape[:batch], rank, *shape[k:]), inputs=inputs
    )


def grids(shape: tuple[int, ...], seed: int = 0) -> dict[str, tensors.Quantized]:
    """Integer grids in every granularity and stored order; groups where axis 0 is even."""
    draw, n = rng(seed), len(shape)
    last = (*(1 for _ in shape[:-1]), shape[-1])
    first = (shape[0], *(1 for _ in shape[1:]))
    back = tuple(reversed(range(n)))
    out = {
        "tensor": grid(draw, shape),
        "last axis": grid(draw, shape, last),
        "first axis": grid(draw, shape, first, bits=4),
        "every entry": grid(draw, shape, shape, bits=2),
        "affine": grid(draw, shape, last, affine=True),
        "affine, 4 bits, reversed": grid(draw, shape, last, affine=True, bits=4, order=back),
    }
    if shape[0] % 2 == 0:
        out["groups"] = grid(draw, shape, (shape[0] // 2, *shape[1:]), order=back)
        out["affine groups"] = grid(draw, shape, (2, *last[1:]) if n > 1 else (2,), affine=True)
    return out


def active(shape: tuple[int, ...], seed: int = 0) -> dict[str, tensors.Quantized]:
    """Integer grids with integer activations, in every stored order of up to three axes."""
    return dict(_active(shape, seed))


@functools.cache
def _active(shape: tuple[int, ...], seed: int) -> dict[str, tensors.Quantized]:
    draw, n = rng(seed), len(shape)
    last = (*(1 for _ in shape[:-1]), shape[-1])
    out = {
        "dynamic": grid(draw, shape, activation="dynamic"),
        "dynamic affine": grid(draw, shape, last, affine=True, activation="dynamic"),
        "static affine, 4 bits": grid(draw, shape, last, affine=True, bits=4, activation="static"),
        "dynamic, scale for every entry": grid(draw, shape, shape, activation="dynamic"),
    }
    for order in itertools.permutations(range(n)) if n <= 3 else [tuple(reversed(range(n)))]:
        kind = "static" if order[0] else "dynamic"
        out[f"{kind}, stored {order}"] = grid(draw, shape, last, order=order, activation=kind)
    return out


def floating(shape: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    """Nodes whose products run in floating point, nestings included."""
    draw, n = rng(seed), len(shape)
    out: dict[str, Any] = {
        "masked": tensors.Masked(floats(draw, *shape), mask(draw, *shape)),
        "masked grid": tensors.Masked(grid(draw, shape), mask(draw, *shape)),
        "codebook": codebook(draw, *shape),
        "codebook of a grid": codebook(draw, *shape, table=grid(draw, (6,))),
        "masked codebook": tensors.Masked(codebook(draw, *shape), mask(draw, *shape)),
    }
    for inputs in range(1, n):
        out[f"low rank, {inputs} inputs"] = low_rank(draw, shape, inputs)
        thin = low_rank(draw, shape, inputs)
        left, right = thin.left.shape, thin.right.shape
        out[f"low rank of grids, {inputs} inputs"] = tensors.LowRank(
            grid(draw, left), tensors.Masked(codebook(draw, *right), mask(draw, *right)), inputs
        )
        out[f"sum, {inputs} inputs"] = tensors.Sum((thin, out["masked"], floats(draw, *shape)))
    for batch in range(1, n - 1):
        out[f"low rank, {batch} batch axes"] = low_rank(draw, shape, n - 1 - batch, batch)
        out[f"codebook, {batch} batch axes"] = codebook(draw, *shape, table=floats(draw, *shape[:batch], 3))
    return out


def zoo(shape: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    """All nodes of a dense shape whose lifted function equals the dense one up to rounding."""
    return dict(_zoo(shape, seed))


@functools.cache
def _zoo(shape: tuple[int, ...], seed: int) -> dict[str, Any]:
    return {**floating(shape, seed), **{f"grid, {k}": v for k, v in grids(shape, seed).items()}}


def lifted(f: Callable[..., Any]) -> Callable[..., Any]:
    """`lift` that takes fallbacks silently."""
    return interpret.lift(f, on_fallback="ignore")


def quick(f: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` with few compiler optimizations, for programs of many small nodes that run once."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0})


def compiled(f: Callable[..., dict[Any, Any]], *args: Any) -> dict[Any, Any]:
    """Results of `f` on nodes, in one compiled program; `Dense` reasons bypass the compiler."""
    reasons: dict[Any, Any] = {}

    def run(*args: Any) -> dict[Any, Any]:
        out = f(*args)
        reasons.update({k: v for k, v in out.items() if isinstance(v, Dense)})
        return {k: v for k, v in out.items() if k not in reasons}

    return quick(run)(*args) | reasons


def assert_close(got: Any, asked: Any, what: str = "", tolerance: float = 2e-5) -> None:
    """Equal shapes, and entries equal up to rounding of sums of normal numbers."""
    got, asked = helpers.float64(got), helpers.float64(asked)
    assert got.shape == asked.shape, (what, got.shape, asked.shape)
    size = np.abs(asked).max(initial=1.0)
    np.testing.assert_allclose(got, asked, rtol=0, atol=tolerance * size, err_msg=what)


def statuses(f: Callable[..., Any], *args: Any) -> set[tuple[str, str]]:
    """`(primitive, status)` of every row that `explain` gives."""
    return {(row.primitive, row.status) for row in interpret.explain(f)(*args)}


def errors(node: tensors.Quantized, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Error bound of every rounded activation, if those over `axes` share a scale."""
    size = np.abs(helpers.float64(x))
    if node.activation == "static":
        step = float(np.asarray(node.activation_scale))
        return step / 2 + np.maximum(size - 127 * step, 0)
    return np.broadcast_to(size.max(axis=axes, keepdims=True, initial=0.0) / 254, size.shape)


def convolution(x: np.ndarray, w: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """`conv_general_dilated` by loops over output positions, from its definition, in double precision."""
    numbers = params["dimension_numbers"]
    x = np.transpose(helpers.float64(x), numbers.lhs_spec)  # [n, c, *spatial]
    w = np.transpose(helpers.float64(w), numbers.rhs_spec)  # [o, i, *spatial]
    for axis, (grow, dilate) in enumerate(zip(params["lhs_dilation"], params["rhs_dilation"]), start=2):
        x, w = _spread(x, axis, grow), _spread(w, axis, dilate)
    x = _pad(x, params["padding"])
    groups, outputs = params["feature_group_count"], w.shape[0]
    strides = params["window_strides"]
    sizes = [(d - k) // s + 1 for d, k, s in zip(x.shape[2:], w.shape[2:], strides)]
    out = np.zeros((x.shape[0], outputs, *sizes))
    for o in range(outputs):
        channels = x[:, (o // (outputs // groups)) * w.shape[1] :][:, : w.shape[1]]
        for position in np.ndindex(*sizes):
            window = tuple(slice(p * s, p * s + k) for p, s, k in zip(position, strides, w.shape[2:]))
            patch = channels[(slice(None), slice(None), *window)]
            out[(slice(None), o, *position)] = (patch * w[o]).reshape(len(patch), -1).sum(1)
    return np.transpose(out, np.argsort(numbers.out_spec))


def _spread(x: np.ndarray, axis: int, step: int) -> np.ndarray:
    shape = list(x.shape)
    shape[axis] = (shape[axis] - 1) * step + 1
    out = np.zeros(shape)
    out[tuple(slice(None, None, step) if a == axis else slice(None) for a in range(x.ndim))] = x
    return out


def _pad(x: np.ndarray, padding: Any) -> np.ndarray:
    """Negative padding removes entries."""
    x = np.pad(x, [(0, 0), (0, 0), *((max(lo, 0), max(hi, 0)) for lo, hi in padding)])
    cut = tuple(slice(max(-lo, 0), d - max(-hi, 0)) for (lo, hi), d in zip(padding, x.shape[2:]))
    return x[(slice(None), slice(None), *cut)]


def equation(f: Callable[..., Any], *args: Any) -> Any:
    """The last equation of a function's jaxpr."""
    return jax.make_jaxpr(f)(*args).eqns[-1]
