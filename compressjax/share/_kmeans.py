"""K-means weight sharing with trainable centroids."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Node, on_values
from compressjax.core._layout import layout_of
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError, each
from compressjax.numerics._host import on_host
from compressjax.share._lloyd import cluster_means, lloyd
from compressjax.share._start import INITS
from compressjax.tensors import Codebook, VectorCodebook

Arrays = dict[str, jax.Array]
_ALL = "all leaves"


class KmeansState(NamedTuple):
    """State of `kmeans`.

    Attributes:
        centroids: `{path: [k] float32}` from `init`, `[groups, k]` for groups, and one table for all leaves of a global
            one; clusters without members keep these.
        codes: `{path: unsigned integers of the leaf's shape}`, fixed by `init`.
    """

    centroids: Arrays
    codes: Arrays


def kmeans(
    clusters: int = 16,
    *,
    init: str = "linear",
    iterations: int = 50,
    ignore_zeros: bool = True,
    scope: str = "leaf",
    groups: int = 1,
    importance: Mapping[str, Any] | None = None,
    key: jax.Array | None = None,
) -> Compression:
    """Replaces the weights of each leaf by the centroids of a small codebook.

    .. math:: \\hat W_i = \\bar c_{a_i}, \\qquad \\bar c_k = \\frac{\\sum_{a_i = k} h_i W_i}{\\sum_{a_i = k} h_i}

    `init` clusters each leaf and fixes the codes `a`. Train the centroids in one of two ways:

    * With `as_optax`: each weight receives the mean gradient of its cluster, so all members move together. The gradient
      in the paper is the sum; Adam takes almost the same steps for both, SGD needs a larger learning rate for the mean.
    * After `encode`: `Codebook.centroids` is a value, so train it with `core.values` and `core.with_values`, or `lift`.
      Its gradient is the sum over the cluster.

    Takes `log2 k` bits per entry, less after entropy coding. Products are not faster, because they look up the weights
    first.

    Args:
        clusters: k, 2 to 65536; a leaf with fewer entries leaves some unused.
        init: `"linear"`, equal steps, as in the paper: good for large weights and entropy coding; `"optimal"`, the
            least squared error up to the resolution of a histogram; `"density"` or `"quantile"`, equal counts; or
            `"random"`, drawn entries. The paper finds the last two worse.
        iterations: Maximum number of Lloyd steps.
        ignore_zeros: Whether centroids ignore exact zeros (masked weights). The method then moves zeros to the nearest
            centroid; to keep them, `chain` it after `prune.gradual`, `prune.magnitude` or `prune.nonzero`.
        scope: `"leaf"`, a codebook a leaf, or `"global"`, one for all leaves; its table is then stored with each leaf.
        groups: Codebooks per leaf, one for each of so many equal groups of output channels; the nodes are then
            `VectorCodebook`.
        importance: `{path: h}` with an array at least 0 of the leaf's shape, such as the Fisher information
            `2 fisher(...).score(params)[path] / w**2`; None for 1. Starts do not depend on it.
        key: PRNG key for `init="random"`.

    Returns:
        Compression whose nodes are `Codebook`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a leaf is not finite, or its importance is missing or
            of another shape; `UnfitError` for leaves that `groups` does not divide.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[0.9, 1.1], [-2.0, -2.0]])
        >>> compress({"kernel": kernel}, {".*": kmeans(2)})["kernel"].codes.tolist()
        [[1, 1], [0, 0]]

    Source: Han et al., arXiv:1510.00149 (han2016); weighted: Choi et al., arXiv:1612.01543 (choi2017).
    """
    clusters, iterations = as_int("kmeans", "clusters", clusters), as_int("kmeans", "iterations", iterations)
    groups = as_int("kmeans", "groups", groups)
    _check(clusters, iterations, groups, init, scope, key)
    code = jnp.uint8 if clusters <= 256 else jnp.uint16
    fit = functools.partial(lloyd, clusters=clusters, init=init, iterations=iterations, ignore_zeros=ignore_zeros)

    def start(flat: Arrays) -> KmeansState:
        centroids, codes = {}, {}
        weights = None if importance is None else {path: _importance(importance, path, x) for path, x in flat.items()}
        if scope == "global":
            whole = jnp.concatenate([x.astype(jnp.float32).ravel() for x in flat.values()])
            h = None if weights is None else jnp.concatenate([h.ravel() for h in weights.values()])
            centroids[_ALL], found = fit(whole, weights=h, key=key)
            ends = np.cumsum([x.size for x in flat.values()])[:-1]
            for (path, x), part in zip(flat.items(), jnp.split(found, ends), strict=True):
                codes[path] = _narrow(part.reshape(x.shape), code)
            return KmeansState(centroids, codes)
        axes = each("kmeans", flat, lambda path: _axis(path, flat[path], groups))
        for number, (path, x) in enumerate(flat.items()):
            h = None if weights is None else weights[path]
            own = None if key is None else jax.random.fold_in(key, number)
            run = fit if groups == 1 else functools.partial(_by_group, fit, axis=axes[path], groups=groups)
            centroids[path], found = run(x, weights=h, key=own)
            codes[path] = _narrow(found, code)
        return KmeansState(centroids, codes)

    def encode(flat: Arrays, state: KmeansState) -> dict[str, Node]:
        weights: dict[str, Any] = dict.fromkeys(flat)
        if importance is not None:
            weights = {path: _importance(importance, path, x) for path, x in flat.items()}
        if scope == "global":
            means = _shared(flat, state, weights, ignore_zeros)
            return {path: Codebook(means.astype(x.dtype), state.codes[path]) for path, x in flat.items()}
        return {
            path: _node(
                x, state.codes[path], state.centroids[path], weights[path], _axis(path, x, groups), ignore_zeros
            )
            for path, x in flat.items()
        }

    def view(flat: Arrays, state: KmeansState) -> Arrays:
        return {path: node.materialize() for path, node in encode(flat, state).items()}

    return on_values(f"kmeans(clusters={clusters})", init=start, view=view, encode=encode)


def _shared(flat: Arrays, state: KmeansState, weights: Mapping[str, Any], ignore_zeros: bool) -> jax.Array:
    """Means of the members of all leaves."""
    ones = {path: jnp.ones(x.size) if weights[path] is None else weights[path].ravel() for path, x in flat.items()}
    x, codes, h = (
        jnp.concatenate([part[path].ravel() for path in flat])
        for part in ({path: x.astype(jnp.float32) for path, x in flat.items()}, state.codes, ones)
    )
    return _means(x, codes, state.centroids[_ALL], h, ignore_zeros)


def _node(x: jax.Array, codes: jax.Array, table: jax.Array, weights: Any, axis: int, ignore_zeros: bool) -> Node:
    """The node with the means of the members, from one table `[k]` or one for each group of channels `[groups, k]`."""
    if table.ndim == 1:
        return Codebook(_means(x, codes, table, weights, ignore_zeros).astype(x.dtype), codes)
    groups, clusters = table.shape
    offset = jnp.arange(x.shape[axis]) // (x.shape[axis] // groups) * clusters
    places = codes.astype(jnp.int32) + offset.reshape(*(1,) * axis, -1, *(1,) * (x.ndim - 1 - axis))
    means = _means(x, places, table.reshape(-1), weights, ignore_zeros)
    return VectorCodebook(means.astype(x.dtype).reshape(groups, clusters, 1), codes, axis - x.ndim)


def _check(clusters: int, iterations: int, groups: int, init: str, scope: str, key: jax.Array | None) -> None:
    if not 2 <= clusters <= 65536:
        raise ValueError(f"kmeans: clusters={clusters} must be between 2 and 65536")
    if init not in INITS:
        raise ValueError(f"kmeans: init={init!r} must be one of {INITS}")
    if iterations < 0:
        raise ValueError(f"kmeans: iterations={iterations} must be at least 0")
    if scope not in ("leaf", "global"):
        raise ValueError(f"kmeans: scope={scope!r} must be 'leaf' or 'global'")
    if groups < 1 or (groups > 1 and scope == "global"):
        raise ValueError(f"kmeans: groups={groups} must be at least 1, and 1 with scope='global'")
    if init == "random" and key is None:  # the others read none: recipes give every method one
        raise ValueError("kmeans: init='random' needs a key, such as key=jax.random.key(0)")


def _axis(path: str, x: jax.Array, groups: int) -> int:
    """The axis of the output channels."""
    if groups == 1:
        return 0
    axis = layout_of(path, x.shape).outputs[-1]
    if x.shape[axis] % groups or not x.size:
        raise UnfitError("kmeans", {path: f"its {x.shape[axis]} output channels do not form {groups} equal groups"})
    return axis


def _importance(importance: Mapping[str, Any], path: str, x: jax.Array) -> jax.Array:
    if path not in importance or tuple(importance[path].shape) != tuple(x.shape):
        found = tuple(importance[path].shape) if path in importance else "none"
        raise ValueError(f"kmeans: importance of {path!r} is {found}; give an array of its shape {tuple(x.shape)}")
    return jnp.asarray(importance[path], jnp.float32)


def _by_group(fit: Any, x: jax.Array, weights: Any, key: Any, axis: int, groups: int) -> tuple[jax.Array, jax.Array]:
    """Tables `[groups, k]` and codes of the leaf's shape."""
    parts = jnp.split(x, groups, axis)
    own = [None] * groups if weights is None else jnp.split(weights, groups, axis)
    keys = [None] * groups if key is None else list(jax.random.split(key, groups))
    found = [fit(part, weights=w, key=k) for part, w, k in zip(parts, own, keys, strict=True)]
    return jnp.stack([table for table, _ in found]), jnp.concatenate([codes for _, codes in found], axis)


# Outside of jit, one program for all leaves of a shape.
@functools.partial(jax.jit, static_argnums=4, inline=True)
def _means(x: jax.Array, codes: jax.Array, centroids: jax.Array, weights: Any, ignore_zeros: bool) -> jax.Array:
    counted = x != 0 if ignore_zeros else jnp.ones(x.shape, bool)
    if weights is not None:
        counted = jnp.where(counted, weights.reshape(x.shape), 0.0)
    return cluster_means(x.astype(jnp.float32), codes, centroids, counted).astype(x.dtype)


def _narrow(codes: jax.Array, dtype: Any) -> jax.Array:
    """The codes in few bits, without a program where NumPy can read them."""
    host = on_host(codes)
    return codes.astype(dtype) if host is None else jnp.asarray(host.astype(dtype))
