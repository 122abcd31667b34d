"""k-means weight sharing, with centroids that can be trained."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, check_finite, on_values
from compressjax.share._lloyd import cluster_means, lloyd
from compressjax.share._start import INITS
from compressjax.tensors import Codebook

Arrays = dict[str, jax.Array]


class KmeansState(NamedTuple):
    """State of `kmeans`.

    Attributes:
        centroids: `{path: [k] float32}` as found by `init`; what clusters without members keep.
        codes: `{path: unsigned integers of the leaf's shape}`, fixed from `init` on.
    """

    centroids: Arrays
    codes: Arrays


def kmeans(clusters: int = 16, *, init: str = "linear", iterations: int = 50, ignore_zeros: bool = True) -> Compression:
    """Lets all weights of a leaf share the values of a small table.

    .. math:: \\hat W_i = \\bar c_{a_i}, \\qquad \\bar c_k = \\mathrm{mean}\\{W_i : a_i = k\\}

    `init` clusters each leaf and fixes the codes `a`. Two ways lead to trained centroids:

    * Through `as_optax`: the view shows every weight the mean of its cluster, so that each member receives
      `sum(dL/dW of the cluster) / members` and all members move as one. This is the paper's centroid gradient, divided
      by the number of members, which Adam does not notice and SGD meets with a larger learning rate.
    * After `encode`: `Codebook.centroids` is a value, so `core.values` and `core.with_values` (or `lift`) train the
      table itself. Its gradient is the paper's, `sum(dL/dW of the cluster)`.

    What it buys: `log2 k` bits an entry, less after entropy coding. It runs no faster: the table is looked up first.

    Args:
        clusters: k, 2 to 65536.
        init: `"linear"`, the paper's choice: large weights get centroids of their own, and after entropy coding a
            nearly uniform table is hard to beat. `"optimal"`: the least squared error for k values, to within the
            resolution of a histogram. `"quantile"`: equal counts.
        iterations: At most so many Lloyd steps.
        ignore_zeros: Whether exact zeros (masked weights) have no say in the centroids. Alone, this method then moves
            them to the nearest centroid: put `prune.gradual`, `prune.magnitude` or `prune.nonzero` before it in a
            `chain` to keep them zero, or set False.

    Returns:
        Compression whose nodes are `Codebook`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a concrete leaf is not finite.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[0.9, 1.1], [-2.0, -2.0]])
        >>> compress({"kernel": kernel}, {".*": kmeans(2)})["kernel"].codes.tolist()
        [[1, 1], [0, 0]]

    Source: Han et al., arXiv:1510.00149 (han2016).
    """
    if not 2 <= clusters <= 65536:
        raise ValueError(f"kmeans: clusters={clusters} must lie between 2 and 65536")
    if init not in INITS:
        raise ValueError(f"kmeans: init={init!r} must be one of {INITS}")
    if iterations < 0:
        raise ValueError(f"kmeans: iterations={iterations} must be at least 0")
    code = jnp.uint8 if clusters <= 256 else jnp.uint16

    def start(flat: Arrays) -> KmeansState:
        found = {}
        for path, x in flat.items():
            check_finite("kmeans", path, x)
            found[path] = lloyd(x, clusters, init=init, iterations=iterations, ignore_zeros=ignore_zeros)
        return KmeansState(
            {path: centroids for path, (centroids, _) in found.items()},
            {path: codes.astype(code) for path, (_, codes) in found.items()},
        )

    def encode(flat: Arrays, state: KmeansState) -> dict[str, Codebook]:
        nodes = {}
        for path, x in flat.items():
            counted = x != 0 if ignore_zeros else jnp.ones(x.shape, bool)
            means = cluster_means(x.astype(jnp.float32), state.codes[path], state.centroids[path], counted)
            nodes[path] = Codebook(means.astype(x.dtype), state.codes[path])
        return nodes

    def view(flat: Arrays, state: KmeansState) -> Arrays:
        return {path: node.materialize() for path, node in encode(flat, state).items()}

    return on_values(f"kmeans(clusters={clusters})", init=start, view=view, encode=encode)
