"""Rotations of a residual stream: orthogonal Hadamard matrices spread outliers over all channels."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._layout import Layouts, check_layouts, layout_of, using
from compressjax.core._settings import as_int
from compressjax.numerics._numerics import wide
from compressjax.quant._edit import Edit, by_path

# Paley's construction needs a prime one below the size that is 3 modulo 4.
_PRIMES = {12: 11, 20: 19}


def hadamard(size: int) -> np.ndarray:
    """Returns an orthogonal Hadamard matrix: entries of one magnitude, orthogonal rows.

    .. math:: Q Q^\\top = I, \\qquad |Q_{ij}| = 1 / \\sqrt n

    Args:
        size: A power of two, or 12 or 20 times one.

    Returns:
        `[size, size]`, float32.

    Raises:
        ValueError: If the size has another form.

    Example:
        >>> (hadamard(2) * 2**0.5).round().tolist()
        [[1.0, 1.0], [1.0, -1.0]]

    Source: Paley, On Orthogonal Matrices, 1933 (paley1933).
    """
    size = as_int("hadamard", "size", size)
    base = next((b for b in (1, 12, 20) if size > 0 and size % b == 0 and (size // b).bit_count() == 1), None)
    if base is None:
        raise ValueError(f"hadamard: size={size} must be a power of two, or 12 or 20 times one; rotate(size=) takes a "
                         "divisor of the stream")  # fmt: skip
    found = np.ones((1, 1)) if base == 1 else _paley(_PRIMES[base])
    while len(found) < size:
        found = np.block([[found, found], [found, -found]])
    return (found / np.sqrt(size)).astype(np.float32)


def _paley(prime: int) -> np.ndarray:
    """A Hadamard matrix of size `prime + 1` from quadratic residues."""
    squares = {i * i % prime for i in range(1, prime)}
    sign = np.array([0, *(1 if i in squares else -1 for i in range(1, prime))])
    core = sign[(np.arange(prime)[None] - np.arange(prime)[:, None]) % prime]
    skew = np.block([[np.zeros((1, 1)), np.ones((1, prime))], [-np.ones((prime, 1)), core]])
    return skew + np.eye(prime + 1)


def rotate(
    params: Any,
    pairs: Mapping[str | tuple[str, ...], str | Sequence[str]],
    *,
    norms: Mapping[str, str | Sequence[str]] | None = None,
    key: jax.Array | None = None,
    size: int | None = None,
    layout: Layouts | None = None,
) -> Any:
    """Rotates the channels between writers and readers; the function stays as it is.

    .. math:: W_{write} \\leftarrow W_{write} Q, \\qquad W_{read} \\leftarrow Q^\\top W_{read}, \\qquad Q Q^\\top = I

    Outliers in single channels of the stream become small values in all of them, which round well. Exact where all
    writers and all readers of a stream are named and what lies between commutes with rotations: sums, and RMSNorm
    without a scale. `norms` moves the scale of an RMSNorm into its readers first. LayerNorm subtracts a mean and does
    not commute.

    Args:
        params: A tree of arrays.
        pairs: Value paths of all writers (embeddings, output projections, their biases) to those of all readers. A tied
            embedding is named on both sides.
        norms: Value paths of norm scales to those of the kernels that read the norm.
        key: Draws random signs of the rows of `Q`; None for a plain Hadamard matrix.
        size: Size of blocks of a block-diagonal `Q`, such as that of a head; None for one block.
        layout: As for `compress`; tells inputs and outputs of kernels.

    Returns:
        The tree with rotated leaves.

    Raises:
        ValueError: If a path is absent or compressed, channels do not fit, or the size has no Hadamard matrix.

    Example:
        >>> params = {"write": jnp.array([[4.0, 0.0]]), "read": jnp.array([[1.0], [1.0]])}
        >>> turned = rotate(params, {"write": "read"})
        >>> turned["write"].round(3).tolist(), (turned["write"] @ turned["read"]).round(4).tolist()
        ([[2.828000068664551, 2.828000068664551]], [[4.0]])

    Source: Ashkboos et al., arXiv:2404.00456 (ashkboos2024).
    """
    edit = Edit("rotate", params)
    with using(None if layout is None else check_layouts(layout)):
        for scales, readers in by_path(norms or {}):
            for scale in scales:
                for path in readers:
                    _inputs(edit, path, jnp.diag(edit.dense(scale)))
                edit[scale] = jnp.ones_like(edit.dense(scale))
        for writers, readers in by_path(pairs):
            width = _width(edit, writers[0]) if writers[0] not in readers else _width(edit, writers[0], reads=True)
            turn = jnp.asarray(_rotation(width, size, key))
            for path in (p for p in writers if p not in readers):
                _outputs(edit, path, turn)
            for path in readers:
                _inputs(edit, path, turn.T)
    return edit.tree()


def _rotation(width: int, size: int | None, key: jax.Array | None) -> np.ndarray:
    block = hadamard(width if size is None else size)
    if width % len(block):
        raise ValueError(f"rotate: size={size} does not divide the {width} channels of the stream")
    found = np.kron(np.eye(width // len(block), dtype=np.float32), block)
    if key is None:
        return found
    return found * np.asarray(jax.random.rademacher(key, (width, 1), jnp.float32))


def _width(edit: Edit, path: str, *, reads: bool = False) -> int:
    x = edit.dense(path)
    axes = layout_of(path, x.shape)
    return int(np.prod([x.shape[a] for a in (axes.inputs if reads else axes.outputs)])) if x.ndim > 1 else x.size


def _outputs(edit: Edit, path: str, turn: jax.Array) -> None:
    """`W Q` of a kernel, or of a bias."""
    x = edit.dense(path)
    edit.check(path, "writes", [_width(edit, path)], turn[0])
    if x.ndim == 1:
        edit[path] = _product(wide(x), turn).astype(x.dtype)
        return
    shaped = layout_of(path, x.shape)
    edit[path] = shaped.leaf(_product(shaped.matrices(wide(x)), turn), x.shape).astype(x.dtype)


def _inputs(edit: Edit, path: str, turn: jax.Array) -> None:
    """`Q W` of a kernel."""
    x = edit.dense(path)
    shaped = layout_of(path, x.shape)
    matrices = shaped.matrices(wide(x))
    edit.check(path, "reads", [matrices.shape[1]], turn[0])
    edit[path] = shaped.leaf(jnp.swapaxes(_product(jnp.swapaxes(matrices, 1, 2), turn.T), 1, 2), x.shape).astype(
        x.dtype
    )


def _product(x: jax.Array, turn: jax.Array) -> jax.Array:
    return jnp.matmul(x, turn.astype(x.dtype), precision=jax.lax.Precision.HIGHEST)
