"""Kernels divided by their largest singular values."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Selector, kernels, matches, values, with_values
from compressjax.core._layout import layout_of

# A kernel with a smaller norm counts as zero, and stays as it is.
_LEAST = 1e-12


class SpectralNorm(NamedTuple):
    """State of `spectral_norm`: a left vector of every kernel."""

    vectors: dict[str, jax.Array]


def init_spectral_norm(params: Any, key: jax.Array, select: Selector = kernels) -> SpectralNorm:
    """Returns the first state of `spectral_norm`: random unit vectors.

    Args:
        params: A tree of arrays.
        key: Random key.
        select: Which kernels are divided; all by default.

    Returns:
        The state.

    Raises:
        ValueError: If nothing is selected.

    Example:
        >>> init_spectral_norm({"kernel": jnp.eye(3)}, jax.random.key(0)).vectors["kernel"].shape
        (3,)

    Source: Miyato et al., arXiv:1802.05957 (miyato2018).
    """
    flat = {path: x for path, x in values(params).items() if matches(select, path, x)}
    if not flat:
        raise ValueError(
            f"spectral_norm: select={select!r} selects nothing; the tree has {sorted(values(params))[:12]}"
        )
    keys = dict(zip(flat, jax.random.split(key, len(flat)), strict=True))
    return SpectralNorm(
        {path: _unit(jax.random.normal(keys[path], _matrix(path, x).shape[:1])) for path, x in flat.items()}
    )


def spectral_norm(params: Any, state: SpectralNorm, steps: int = 1) -> tuple[Any, SpectralNorm]:
    """Divides every kernel by an estimate of its largest singular value, which bounds the slope of a discriminator.

    .. math:: \\hat W = W / \\sigma(W), \\quad \\sigma(W) \\approx u^\\top W v, \\quad
        v \\leftarrow W^\\top u / \\|W^\\top u\\|, \\; u \\leftarrow W v / \\|W v\\|

    A convolution counts as the matrix `[height * width * in, out]`. One step of power iteration per call is enough,
    because weights move slowly. Gradients flow through `W` in numerator and denominator, not through `u` and `v`.

    Args:
        params: A tree of arrays.
        state: From `init_spectral_norm` or the call before.
        steps: Power iterations, at least 1.

    Returns:
        The divided parameters and the new state.

    Raises:
        ValueError: If `steps` is below 1.

    Example:
        >>> params = {"kernel": jnp.diag(jnp.array([4.0, 1.0]))}
        >>> normed, state = spectral_norm(params, init_spectral_norm(params, jax.random.key(0)), steps=20)
        >>> normed["kernel"].round(3).tolist()
        [[1.0, 0.0], [0.0, 0.25]]

    Source: Miyato et al., arXiv:1802.05957 (miyato2018).
    """
    if steps < 1:
        raise ValueError(f"spectral_norm: steps={steps} must be at least 1")
    flat, divided, vectors = values(params), {}, {}
    for path, u in state.vectors.items():
        matrix = _matrix(path, flat[path]).astype(jnp.float32)
        fixed = jax.lax.stop_gradient(matrix)
        for _ in range(steps):
            v = _unit(fixed.T @ u)
            after = fixed @ v
            u = jnp.where(jnp.any(after != 0), _unit(after), u)  # a kernel of zeros keeps its vector
        sigma = u @ (matrix @ v)
        divided[path] = (flat[path] / jnp.where(sigma > _LEAST, sigma, 1.0)).astype(flat[path].dtype)
        vectors[path] = u
    return with_values(params, divided), SpectralNorm(vectors)


def _matrix(path: str, x: jax.Array) -> jax.Array:
    """The kernel as `[in, out]`."""
    axes = layout_of(path, x.shape)
    return axes.matrices(x).reshape(-1, *axes.matrices(x).shape[-1:])


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
