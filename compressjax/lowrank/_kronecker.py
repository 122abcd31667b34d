"""The nearest sum of Kronecker products."""

import math
from typing import Any

import numpy as np

from compressjax.core import Compression
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._restructure import Form, Sizes, decompose, restructured
from compressjax.tensors import Kronecker


def kronecker(*, terms: int = 1, shape: tuple[int, int] | None = None, always: bool = False) -> Compression:
    """Replaces kernels by the nearest sum of Kronecker products of small matrices.

    .. math:: \\min_{A, B} \\Big\\|W - \\sum_{k \\le K} A_k \\otimes B_k\\Big\\|, \\qquad
        W_{(a c), (b d)} \\mapsto \\tilde W_{(a b), (c d)} = \\sum_k \\mathrm{vec}(A_k) \\mathrm{vec}(B_k)^T

    Entries in another order turn Kronecker products into outer products, so the singular value decomposition gives the
    best ones. Takes `K (a b + c d)` instead of `a b c d` entries.

    Args:
        terms: `K`, at least 1; all `min(ab, cd)` of them are exact.
        shape: `(a, b)`, divisors of the rows and columns; None takes those nearest to the roots.
        always: Whether to factorize even if that takes more entries.

    Returns:
        Compression whose nodes are `Kronecker`, with straight-through gradients.

    Raises:
        ValueError: If a setting is out of range; from `encode`, when the shape does not divide a leaf, or it would not
            shrink.

    Example:
        >>> from compressjax.core import compress
        >>> import jax.numpy as jnp
        >>> node = compress({"kernel": jnp.kron(jnp.eye(4), jnp.ones((5, 3)))}, {".*": kronecker(shape=(4, 4))})[
        ...     "kernel"
        ... ]
        >>> node.left.shape, node.right.shape, node.materialize()[0, :3].round(3).tolist()
        ((1, 4, 4), (1, 5, 3), [1.0, 1.0, 1.0])

    Source: Van Loan and Pitsianis, Approximation with Kronecker Products, 1993 (vanloan1993).
    """
    count = as_int("kronecker", "terms", terms)
    given = None if shape is None else tuple(as_int("kronecker", "shape", n) for n in shape)
    if count < 1 or (given is not None and (len(given) != 2 or min(given) < 1)):
        raise ValueError(f"kronecker: terms={terms} must be at least 1, and shape={shape} two numbers of at least 1")

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        del x
        rows, columns = math.prod(ins), math.prod(outs)
        a, b = given or (nearest_divisor(rows), nearest_divisor(columns))
        if rows % a or columns % b:
            raise UnfitError(
                "kronecker", {path: f"shape={(a, b)} does not divide its {rows} rows and {columns} columns"}
            )
        c, d = rows // a, columns // b
        k = min(count, a * b, c * d)
        return Form(
            math.prod(batch) * k * (a * b + c * d),
            lambda xp, x: _terms(xp, x.reshape(*batch, a, c, b, d), k),
            lambda parts: Kronecker(parts[0], parts[1], ins, outs),
        )

    return restructured("kronecker", f"terms={count}, shape={shape}", plan, always=always)


def nearest_divisor(size: int) -> int:
    """The divisor of a size that is nearest to its root, as a ratio."""
    found = [n for n in range(1, size + 1) if size % n == 0]
    return min(found, key=lambda n: max(n, size // n))


def _terms(xp: Any, x: Any, k: int) -> tuple[Any, Any]:
    *batch, a, c, b, d = x.shape
    left, values, right = decompose(xp, xp.swapaxes(x, -3, -2).reshape(*batch, a * b, c * d))
    root = values[..., :k, None] ** np.float32(0.5)
    first = (xp.swapaxes(left[..., :k], -1, -2) * root).reshape(*batch, k, a, b)
    return first, (root * right[..., :k, :]).reshape(*batch, k, c, d)
