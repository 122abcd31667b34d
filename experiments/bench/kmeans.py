"""One-dimensional k-means against scikit-learn: time and inertia from the same start and from the best of each."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np

import compressjax
from compressjax import share
from experiments.bench.harness import OURS, Case
from third_party import peers

PEER = "scikit-learn"


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Two cases a number of clusters: both from equal steps, and each from its own start.

    Args:
        config: `seed`, `count` (normal weights, a multiple of 100), `clusters`, `iterations` at most.

    Yields:
        Cases with scikit-learn as the baseline, or ours if it is absent; "inertia over" is ours over that of the peer.
    """
    values = np.random.default_rng(config.seed).normal(size=config.count).astype(np.float32)
    leaf = {"w": jax.block_until_ready(jax.device_put(values.reshape(-1, 100)))}
    for clusters in config.clusters:
        even = np.linspace(values.min(), values.max(), clusters, dtype=np.float32)
        for name, start, init in (("from equal steps", even, "linear"), ("from its own start", "k-means++", "optimal")):
            method = share.kmeans(clusters, init=init, iterations=config.iterations, ignore_zeros=False)
            yield compared(f"{clusters} clusters {name}", leaf, values, method, start, clusters, config.iterations)


def compared(
    name: str, leaf: Mapping[str, jax.Array], values: np.ndarray, method: Any, start: Any, clusters: int, steps: int
) -> Case:
    """The case of one start.

    Args:
        name: of the case.
        leaf: the weights as a tree.
        values: the same on the host.
        method: ours.
        start: of the peer: its centroids, or the name of a method.
        clusters: k.
        steps: Lloyd steps at most.

    Returns:
        The case; ours are codes and centroids, as `compress` returns them.
    """

    def ours() -> Any:
        return jax.block_until_ready(compressjax.compress(leaf, method)["w"])

    thunks: dict[str, Callable[[], Any]] = {OURS: ours}
    facts = {f"inertia of {OURS}": inertia(values, *_parts(ours()))}
    peer = peers.load("scikit_learn")
    if peer.adapter is None:
        return Case(name, thunks, facts, {PEER: peer.reason}, values.size)
    adapter = peer.adapter

    def theirs() -> Any:
        return adapter.kmeans(values, start, steps, count=clusters, tol=adapter.TOLERANCE)

    found = inertia(values, *theirs())
    facts |= {f"inertia of {PEER}": found, "inertia over": facts[f"inertia of {OURS}"] / found}
    thunks = {PEER: theirs, OURS: ours}
    return Case(name, thunks, facts, {}, values.size)


def inertia(values: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> float:
    """Sum of the squared distances `[n]` to the centroids `[k]` that the codes `[n]` name.

    Example:
        >>> inertia(np.array([0.0, 1.0, 4.0]), np.array([0.5, 4.0]), np.array([0, 0, 1]))
        0.5
    """
    return float(np.sum(np.square(values.astype(np.float64) - centroids.astype(np.float64)[codes])))


def _parts(node: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(node.centroids), np.asarray(node.codes).ravel()
