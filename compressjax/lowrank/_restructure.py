"""What factorizations of tensors share: axes, whether they pay, where they run, and the node."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Dense, Node, from_encode, ops
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._factorize import Axes
from compressjax.numerics._explicit import with_whole_results
from compressjax.numerics._host import on_host

Sizes = tuple[int, ...]


class Form(NamedTuple):
    """How a leaf is written anew.

    Attributes:
        entries: How many numbers it takes.
        make: `(numpy or jax.numpy, tensor [*batch, *in, *out] in float32) -> arrays`.
        node: The node of such arrays.
    """

    entries: float
    make: Callable[[Any, Any], tuple[Any, ...]]
    node: Callable[[tuple[Any, ...]], Node]


# (path, sizes of batch axes, of input axes, of output axes, tensor) -> Form
Plan = Callable[[str, Sizes, Sizes, Sizes, Any], Form]


def restructured(who: str, shown: str, plan: Plan, *, always: bool = False) -> Compression:
    """The compression that replaces kernels by nodes with other arrays."""

    def encode(path: str, x: jax.Array, stats: Any) -> Any:
        del stats
        if not x.size:
            return x
        shaped = Axes().of(who, path, x.shape)
        host = on_host(x)
        turned: Any = jnp.transpose(x, shaped.order) if host is None else np.transpose(host, shaped.order)
        sizes = [tuple(x.shape[a] for a in part) for part in shaped]
        form = plan(path, sizes[0], sizes[1], sizes[2], turned)
        if form.entries >= x.size and not always:
            raise UnfitError(
                who,
                {path: f"{who}({shown}) would not make it smaller: it takes {form.entries:g} entries, the kernel has "
                       f"{x.size}; lower its settings, or set always=True"},
            )  # fmt: skip
        made = form.node(tuple(part.astype(x.dtype) if is_float(part) else part for part in run(form.make, turned)))
        back = ops.transpose(made, shaped.inverse) if shaped.order != tuple(range(x.ndim)) else made
        if isinstance(back, Dense):
            raise UnfitError(who, {path: f"shape {x.shape} with {shaped}: {back.reason}"})
        return jax.tree.map(jnp.asarray, back)

    return from_encode(f"{who}({shown})", encode)


def is_float(x: Any) -> bool:
    """Whether an array holds values."""
    return bool(jnp.issubdtype(x.dtype, jnp.floating))


def run(make: Callable[[Any, Any], tuple[Any, ...]], x: Any) -> tuple[Any, ...]:
    """Runs a function of a kernel where the kernel is."""
    if isinstance(x, np.ndarray):
        return make(np, x.astype(np.float32))

    def traced(x: Any) -> Any:
        return make(jnp, x.astype(jnp.float32))

    # The gradient of the view is straight-through, so do not differentiate the decomposition.
    return tuple(with_whole_results(traced, x)(jax.lax.stop_gradient(x)))


def leading(xp: Any, gram: Any, k: int) -> Any:
    """The `k` leading eigenvectors of symmetric matrices `[*batch, n, n]`, as columns."""
    return xp.linalg.eigh(gram)[1][..., ::-1][..., :k]


def decompose(xp: Any, matrices: Any) -> Any:
    """Left vectors, singular values and right vectors."""
    return xp.linalg.svd(matrices, full_matrices=False)
