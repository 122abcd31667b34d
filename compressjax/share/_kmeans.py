"""K-means weight sharing with trainable centroids."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values
from compressjax.core._settings import as_int
from compressjax.numerics._host import on_host
from compressjax.share._lloyd import cluster_means, lloyd
from compressjax.share._start import INITS
from compressjax.tensors import Codebook

Arrays = dict[str, jax.Array]


class KmeansState(NamedTuple):
    """State of `kmeans`.

    Attributes:
        centroids: `{path: [k] float32}` from `init`; clusters without members keep these.
        codes: `{path: unsigned integers of the leaf's shape}`, fixed by `init`.
    """

    centroids: Arrays
    codes: Arrays


def kmeans(clusters: int = 16, *, init: str = "linear", iterations: int = 50, ignore_zeros: bool = True) -> Compression:
    """Replaces the weights of each leaf by the centroids of a small codebook.

    .. math:: \\hat W_i = \\bar c_{a_i}, \\qquad \\bar c_k = \\mathrm{mean}\\{W_i : a_i = k\\}

    `init` clusters each leaf and fixes the codes `a`. Train the centroids in one of two ways:

    * With `as_optax`: each weight receives the mean gradient of its cluster, so all members move together. The gradient
      in the paper is the sum; Adam takes almost the same steps for both, SGD needs a larger learning rate for the mean.
    * After `encode`: `Codebook.centroids` is a value, so train it with `core.values` and `core.with_values`, or `lift`.
      Its gradient is the sum over the cluster.

    Takes `log2 k` bits per entry, less after entropy coding. Products are not faster, because they look up the weights
    first.

    Args:
        clusters: k, 2 to 65536.
        init: `"linear"`, equal steps, as in the paper: good for large weights and entropy coding; `"optimal"`, the
            least squared error up to the resolution of a histogram; or `"quantile"`, equal counts.
        iterations: Maximum number of Lloyd steps.
        ignore_zeros: Whether centroids ignore exact zeros (masked weights). The method then moves zeros to the nearest
            centroid; to keep them, `chain` it after `prune.gradual`, `prune.magnitude` or `prune.nonzero`.

    Returns:
        Compression whose nodes are `Codebook`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a leaf is not finite.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[0.9, 1.1], [-2.0, -2.0]])
        >>> compress({"kernel": kernel}, {".*": kmeans(2)})["kernel"].codes.tolist()
        [[1, 1], [0, 0]]

    Source: Han et al., arXiv:1510.00149 (han2016).
    """
    clusters, iterations = as_int("kmeans", "clusters", clusters), as_int("kmeans", "iterations", iterations)
    if not 2 <= clusters <= 65536:
        raise ValueError(f"kmeans: clusters={clusters} must be between 2 and 65536")
    if init not in INITS:
        raise ValueError(f"kmeans: init={init!r} must be one of {INITS}")
    if iterations < 0:
        raise ValueError(f"kmeans: iterations={iterations} must be at least 0")
    code = jnp.uint8 if clusters <= 256 else jnp.uint16

    def start(flat: Arrays) -> KmeansState:
        found = {}
        for path, x in flat.items():
            found[path] = lloyd(x, clusters, init=init, iterations=iterations, ignore_zeros=ignore_zeros)
        return KmeansState(
            {path: centroids for path, (centroids, _) in found.items()},
            {path: _narrow(codes, code) for path, (_, codes) in found.items()},
        )

    def encode(flat: Arrays, state: KmeansState) -> dict[str, Codebook]:
        nodes = {}
        for path, x in flat.items():
            means = _means(x, state.codes[path], state.centroids[path], ignore_zeros)
            nodes[path] = Codebook(means, state.codes[path])
        return nodes

    def view(flat: Arrays, state: KmeansState) -> Arrays:
        return {path: node.materialize() for path, node in encode(flat, state).items()}

    return on_values(f"kmeans(clusters={clusters})", init=start, view=view, encode=encode)


# Outside of jit, one program for all leaves of a shape.
@functools.partial(jax.jit, static_argnums=3, inline=True)
def _means(x: jax.Array, codes: jax.Array, centroids: jax.Array, ignore_zeros: bool) -> jax.Array:
    counted = x != 0 if ignore_zeros else jnp.ones(x.shape, bool)
    return cluster_means(x.astype(jnp.float32), codes, centroids, counted).astype(x.dtype)


def _narrow(codes: jax.Array, dtype: Any) -> jax.Array:
    """The codes in few bits, without a program where NumPy can read them."""
    host = on_host(codes)
    return codes.astype(dtype) if host is None else jnp.asarray(host.astype(dtype))
