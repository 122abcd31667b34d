"""Truncated singular value decompositions of matrices on several devices, by products and small Gram matrices alone."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Directions besides those that are kept, which make the iteration converge faster, and the most steps.
EXTRA, STEPS = 8, 40
# What a step must add to the squared norm that is kept, as a share of it, for another one to follow.
GAIN = 1e-7


class Truncated(NamedTuple):
    """The largest singular values `[*batch, r]` with their vectors, `[*batch, rows, r]` and `[*batch, r, columns]`."""

    left: jax.Array
    values: jax.Array
    right: jax.Array


# Outside of jit, one program for all leaves of a shape.
@functools.partial(jax.jit, static_argnums=1, inline=True)
def truncated(x: jax.Array, rank: int) -> Truncated:
    """Computes the best approximation of rank r of `[*batch, rows, columns]` by subspace iteration.

    .. math:: Z \\leftarrow \\mathrm{orth}(W^\\top Q), \\quad Q \\leftarrow \\mathrm{orth}(W Z), \\quad
        W \\approx Q E_r E_r^\\top Q^\\top W

    where `E_r` are the first eigenvectors of :math:`Q^\\top W W^\\top Q`. A decomposition of LAPACK needs the matrix on
    one device. Here the largest thing that devices exchange is :math:`W^\\top Q` or :math:`W Z`, which is as large as a
    factor. Steps end when they add less than 1e-7 of what is kept.

    Source: Halko et al., arXiv:0909.4061 (halko2011).
    """
    rows, columns = x.shape[-2:]
    size = min(rank + EXTRA, rows, columns)
    # The same numbers on every device, so nothing has to be sent.
    draw = jnp.asarray(np.random.default_rng(0).standard_normal((columns, size)), x.dtype)
    begin = orthonormal(_product(x, jnp.broadcast_to(draw, (*x.shape[:-2], columns, size))))
    other = jnp.swapaxes(x, -1, -2)

    def step(carry: Any) -> Any:
        count, basis, projected, energy, _ = carry
        basis = orthonormal(_product(x, orthonormal(projected)))
        projected = _product(other, basis)
        return count + 1, basis, projected, jnp.sum(jnp.square(projected)), energy

    def growing(carry: Any) -> jax.Array:
        count, _, _, energy, before = carry
        return (count < STEPS) & (energy > before * (1 + GAIN))

    projected = _product(other, begin)
    first = jnp.zeros((), jnp.int32), begin, projected, jnp.sum(jnp.square(projected)), jnp.zeros((), x.dtype)
    _, basis, projected, _, _ = jax.lax.while_loop(growing, step, first)
    _, vectors = jnp.linalg.eigh(_product(jnp.swapaxes(projected, -1, -2), projected))
    best = vectors[..., ::-1][..., :rank]
    # The lengths of what is projected, not roots of eigenvalues, which are wrong below the root of the precision.
    right = jnp.swapaxes(_product(projected, best), -1, -2)
    values = jnp.linalg.norm(right, axis=-1)
    return Truncated(_product(basis, best), values, right / jnp.where(values > 0, values, 1.0)[..., None])


def orthonormal(y: jax.Array) -> jax.Array:
    """An orthonormal basis of the columns of `[*batch, n, k]`; columns of zeros where the rank is smaller.

    .. math:: G = Y^\\top Y = E \\Lambda E^\\top, \\qquad Y \\leftarrow Y E \\Lambda^{-1/2}

    A Gram matrix has half of the digits. So small eigenvalues are raised to the noise at first, and the step is done
    three times.
    """
    noise = y.shape[-1] * float(jnp.finfo(y.dtype).eps)
    for last in (False, False, True):
        values, vectors = jnp.linalg.eigh(_product(jnp.swapaxes(y, -1, -2), y))
        most = values[..., -1:]
        scale = jax.lax.rsqrt(jnp.maximum(jnp.maximum(values, noise * most), jnp.finfo(y.dtype).tiny))
        if last:  # of length one now, or made of noise
            scale = jnp.where((values > 0.25 * most) & (values > 0), scale, 0.0)
        y = _product(y, vectors * scale[..., None, :])
    return y


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
