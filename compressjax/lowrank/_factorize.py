"""What all factorizations of matrices share: axes, ranks, whether they pay, and the node."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Dense, from_encode, ops
from compressjax.core._layout import Layout, layout_of, results
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._rank import split, unpaid
from compressjax.lowrank._rule import Rule
from compressjax.numerics._explicit import with_whole_results
from compressjax.numerics._host import on_host
from compressjax.saliency._layout import layout
from compressjax.tensors import LowRank


class Parts(NamedTuple):
    """A decomposition `left diag(values) right` of every matrix of a batch.

    Attributes:
        left: `[*batch, rows, n]`.
        values: `[*batch, n]`, the largest first.
        right: `[*batch, n, columns]`.
    """

    left: Any
    values: Any
    right: Any


# (path, kernel [*batch, *in, *out], shape of its matrices, statistics, rank or None) -> Parts
Decompose = Callable[[str, Any, tuple[int, ...], Any, int | None], Parts]


def decomposed(f: Callable[..., Any], x: Any, shape: tuple[int, ...], *more: Any) -> Parts:
    """Runs `f(numpy or jax.numpy, matrices in float32, *more)` where the kernel is."""
    if isinstance(x, np.ndarray):  # needs no program for every shape, and slices of its results none for every rank
        return Parts(*f(np, x.astype(np.float32).reshape(shape), *(m if m is None else np.asarray(m) for m in more)))

    def run(x: Any, *more: Any) -> Any:
        return tuple(f(jnp, x.astype(jnp.float32).reshape(shape), *more))

    # The gradient of the view is straight-through, so do not differentiate the decomposition.
    return Parts(*with_whole_results(run, x)(*jax.lax.stop_gradient((x, *more))))


def matmul(xp: Any, a: Any, b: Any) -> Any:
    """A product in full precision, on accelerators as well."""
    return a @ b if xp is np else jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


class Axes(NamedTuple):
    """Settings of the axes: as set, or as the layout says."""

    inputs: int | None = None
    batch: int | None = None

    def of(self, who: str, path: str, shape: tuple[int, ...], stats: Any = None) -> Layout:
        """The axes of the factors of a leaf."""
        inputs, batch = self
        if inputs is None and batch is None:
            axes = layout_of(path, shape) if stats is None else layout(path, shape, stats)
        else:
            lead, count = batch or 0, len(shape) - (batch or 0) - 1 if inputs is None else inputs
            ends = (0, lead), (lead, lead + count), (lead + count, len(shape))
            axes = Layout(*(tuple(range(a, b)) for a, b in ends))
        if not axes.inputs or not axes.outputs:
            raise UnfitError(
                who, {path: f"shape {shape} with batch={batch} and inputs={inputs}: both sides need an axis"}
            )
        return axes


def factorization(
    rule: Rule, decompose: Decompose, axes: Axes, *, always: bool = False, needs: tuple[str, ...] = ()
) -> Compression:
    """The compression that replaces kernels by `LowRank` nodes of a decomposition."""
    who = rule.who

    def larger(shape: tuple[int, ...], r: int, inputs: int, batch: int) -> str:
        return "" if always else unpaid(who, rule.shown, shape, r, inputs, batch)

    def check(path: str, x: jax.Array) -> None:
        found = axes.of(who, path, x.shape)
        shape, sides = tuple(x.shape[axis] for axis in found.order), (len(found.inputs), len(found.batch))
        fixed = rule.fixed(path, shape, *sides)
        if fixed is not None and x.size and (reason := larger(shape, fixed, *sides)):
            raise UnfitError(who, {path: reason})

    def encode(path: str, x: jax.Array, stats: Any) -> LowRank | jax.Array:
        if not x.size:
            return x
        shaped = axes.of(who, path, x.shape, stats if needs else None)
        host = on_host(x)
        turned = jnp.transpose(x, shaped.order) if host is None else np.transpose(host, shaped.order)
        found = factors(path, turned, len(shaped.inputs), len(shaped.batch), stats)
        if found is None:
            return x
        back = ops.transpose(found, shaped.inverse) if shaped.order != tuple(range(x.ndim)) else found
        if isinstance(back, Dense):
            raise UnfitError(who, {path: f"shape {x.shape} with {shaped}: {back.reason}; set inputs= and batch="})
        return jax.tree.map(jnp.asarray, back)

    def factors(path: str, x: Any, inputs: int, batch: int, stats: Any) -> LowRank | None:
        count, rows, columns = split(x.shape, inputs, batch)
        fixed = rule.fixed(path, x.shape, inputs, batch)
        if fixed is not None and (reason := larger(x.shape, fixed, inputs, batch)):
            raise UnfitError(who, {path: reason})
        parts = decompose(path, x, (*x.shape[:batch], rows, columns), stats, fixed)
        r = rule.chosen(path, parts.values, rows, columns) if fixed is None else fixed
        if reason := larger(x.shape, r, inputs, batch):
            if results() is not None:
                raise UnfitError(who, {path: reason})
            return None
        # The square roots give both factors the same scale, which helps training and quantization.
        root = parts.values[..., :r] ** 0.5
        left = (parts.left[..., :r] * root[..., None, :]).reshape(*x.shape[: batch + count], r)
        right = (root[..., :, None] * parts.right[..., :r, :]).reshape(*x.shape[:batch], r, *x.shape[batch + count :])
        return LowRank(left.astype(x.dtype), right.astype(x.dtype), count)

    return from_encode(f"{who}({rule.shown})", encode, needs=needs, check_leaf=None if needs else check)
