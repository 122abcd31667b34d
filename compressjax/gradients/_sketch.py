"""Count sketches: random sums of entries, which add up over workers."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers
from compressjax.gradients._compressor import Compressor, Draw, count_of, share_of
from compressjax.gradients._link import Link, as_floats


def count_sketch(rows: int, columns: int, share: float) -> Compressor:
    """Returns a compressor that sends a count sketch and finds the largest entries of the sum in it.

    .. math:: S_{jb} = \\sum_{i: h_j(i) = b} s_j(i)\\, x_i, \\qquad
        \\hat x_i = \\operatorname{median}_j\\, s_j(i)\\, S_{j h_j(i)}

    Every row is unbiased, with variance at most `|x|^2 / columns`. Sketches are linear, so what was not found stays in
    a sketch that all workers hold, in the place of errors of their own.

    Args:
        rows: Independent rows, at least 1; odd ones have one median.
        columns: Sums a row, at least 1.
        share: Part of the entries of a leaf that is taken from the sketch, in (0, 1].

    Returns:
        A compressor: an all-reduce of `4 * rows * columns` bytes a leaf, whatever its size.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> count_sketch(rows=5, columns=1000, share=0.01).name
        'count_sketch'

    Source: Rothchild et al., arXiv:2007.07682 (rothchild2020).
    """
    rows, columns = integers("count_sketch", rows=rows, columns=columns)
    share = share_of("count_sketch", share)
    if rows < 1 or columns < 1:
        raise ValueError(f"count_sketch: rows={rows} and columns={columns} must be at least 1")

    def init(shape: tuple[int, ...], key: jax.Array) -> Any:
        del shape, key
        return jnp.zeros((rows, columns))

    def exchange(x: jax.Array, state: Any, draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, Any]:
        flat = as_floats(x)
        first, second = jax.random.split(draw.run)
        places = jax.random.randint(first, (rows, flat.size), 0, columns)
        signs = jax.random.rademacher(second, (rows, flat.size), jnp.float32)
        row = jnp.arange(rows)[:, None]

        def sketch(y: jax.Array) -> jax.Array:
            return jnp.zeros((rows, columns)).at[row, places].add(signs * y[None])

        total = state + link.mean(sketch(flat))
        guess = jnp.median(signs * total[row, places], axis=0)
        _, best = jax.lax.top_k(jnp.abs(guess), count_of(share, flat.size))
        found = jnp.zeros_like(flat).at[best].set(guess[best])
        return x, found.reshape(x.shape), total - sketch(found)

    return Compressor("count_sketch", init, exchange, "none")
