"""Differentiable k-means: centroids by attention, in the forward pass of training."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values
from compressjax.core._settings import as_int, as_number
from compressjax.numerics import with_auto_axes
from compressjax.numerics._numerics import straight_through
from compressjax.share._lloyd import assign, lloyd
from compressjax.tensors import Codebook

Arrays = dict[str, jax.Array]


class DkmState(NamedTuple):
    """State of `dkm`.

    Attributes:
        centroids: `{path: [k] float32}`, where the next forward pass starts.
    """

    centroids: Arrays


def dkm(clusters: int = 16, *, temperature: float = 1e-3, iterations: int = 3) -> Compression:
    """Trains weights through a soft clustering that runs inside the forward pass.

    .. math:: a_{ij} = \\mathrm{softmax}_j(-(w_i - c_j)^2 / (\\tau v)), \\qquad
        c_j \\leftarrow \\frac{\\sum_i a_{ij} w_i}{\\sum_i a_{ij}}, \\qquad \\tilde w_i = \\sum_j a_{ij} c_j

    with the variance `v` of the leaf, so that `tau` means the same at every scale. Every weight may move to another
    cluster at any step, because assignments follow the weights; `kmeans` fixes them. The view has the values of the
    nearest centroids, as they are stored, with the gradient of the soft weights. Takes memory for `k` numbers a weight.

    Args:
        clusters: k, 2 to 256.
        temperature: tau, above 0; smaller is harder.
        iterations: Steps of the clustering in every forward pass, at least 1.

    Returns:
        Compression whose nodes are `Codebook`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a leaf is not finite.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[0.9, 1.1], [-2.0, -2.0]])
        >>> compress({"kernel": kernel}, {".*": dkm(2)})["kernel"].materialize().tolist()
        [[1.0, 1.0], [-2.0, -2.0]]

    Source: Cho et al., DKM: Differentiable K-Means Clustering Layer, arXiv:2108.12659 (cho2022).
    """
    if not 2 <= as_int("dkm", "clusters", clusters) <= 256:
        raise ValueError(f"dkm: clusters={clusters} must be between 2 and 256; kmeans takes more")
    if not 0 < as_number("dkm", "temperature", temperature) < float("inf"):
        raise ValueError(f"dkm: temperature={temperature} must be above 0; 0.001 is usual")
    if as_int("dkm", "iterations", iterations) < 1:
        raise ValueError(f"dkm: iterations={iterations} must be at least 1")

    def run(x: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        fit = functools.partial(_fit, float(temperature), int(iterations))
        return with_auto_axes(fit, (x, start, jnp.zeros(x.shape, jnp.uint8)))(x, start)

    def init(flat: Arrays) -> DkmState:
        return DkmState({path: lloyd(x, clusters, ignore_zeros=False)[0] for path, x in flat.items()})

    def encode(flat: Arrays, state: DkmState) -> dict[str, Codebook]:
        nodes = {}
        for path, x in flat.items():
            _, centroids, codes = run(x, state.centroids[path])
            nodes[path] = Codebook(centroids, codes)
        return nodes

    def view(flat: Arrays, state: DkmState) -> Arrays:
        seen = {}
        for path, x in flat.items():
            soft, centroids, codes = run(x, state.centroids[path])
            seen[path] = straight_through(soft, Codebook(centroids, codes).materialize())
        return seen

    def after_step(flat: Arrays, state: DkmState, stats: Any) -> tuple[Arrays, DkmState]:
        del stats
        moved = {path: run(x, state.centroids[path])[1].astype(jnp.float32) for path, x in flat.items()}
        return flat, DkmState(moved)

    return on_values(f"dkm(clusters={clusters})", init=init, view=view, encode=encode, after_step=after_step)


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)
def _fit(temperature: float, iterations: int, x: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Soft weights, centroids in the dtype of the leaf, and codes of the nearest centroids."""
    flat = x.astype(jnp.float32).ravel()
    scale = temperature * jnp.maximum(jnp.var(flat), jnp.finfo(jnp.float32).tiny)

    def attention(centroids: jax.Array) -> jax.Array:
        return jax.nn.softmax(-jnp.square(flat[:, None] - centroids[None, :]) / scale, axis=-1)

    centroids = jax.lax.stop_gradient(start)
    for _ in range(iterations):
        weights = attention(centroids)
        shares = jnp.sum(weights, axis=0)
        # A cluster without any weight keeps its centroid.
        centroids = jnp.where(shares > 1e-6, flat @ weights / jnp.maximum(shares, 1e-6), centroids)
    soft = (attention(centroids) @ centroids).reshape(x.shape).astype(x.dtype)
    stored = jnp.sort(jax.lax.stop_gradient(centroids)).astype(x.dtype)
    codes = assign(flat, stored.astype(jnp.float32)).astype(jnp.uint8)
    return soft, stored, codes.reshape(x.shape)
