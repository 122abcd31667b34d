"""Decomposition, sparse representation, selection and coresets against scikit-learn, on arrays in memory."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
from sklearn import decomposition, feature_selection, linear_model
from sklearn.metrics import pairwise_distances
from sklearn.utils.extmath import randomized_svd

from compressjax import data
from experiments.bench.harness import OURS, Case
from experiments.datasets import load

PEER = "scikit-learn"


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One case a method: scikit-learn is the baseline.

    Args:
        config: `seed`, `data` (the arguments of `experiments.datasets.load`; made-up images without a name), `images`
            (how many), and for every method in `methods` its sizes.

    Yields:
        Cases whose facts hold the error of both, and the seconds of our first call, compilation included.
    """
    draw = np.random.default_rng(config.seed)
    if config.data.name:
        images = load(**config.data).train_images[: config.images, :, :, 0] / np.float32(255)
    else:
        images = draw.random((config.images, 12, 12)).astype(np.float32) ** 4
    for name in config.methods:
        yield METHODS[name](config[name], images, draw, jax.random.key(config.seed))


def compared(
    name: str, theirs: Callable[[], Any], ours: Callable[[], Any], value: Callable[[Any], float], facts: Mapping = {}
) -> Case:
    """The case of one method.

    Args:
        name: of the case.
        theirs: trains the peer.
        ours: trains ours.
        value: what both minimize, of what either returns.
        facts: further numbers.

    Returns:
        The case; the error is how far our value is above that of the peer, as a share.
    """

    def quiet() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return theirs()

    start = time.perf_counter()
    found = jax.block_until_ready(ours())
    first = time.perf_counter() - start
    peer, own = value(quiet()), value(found)
    numbers = {f"value of {PEER}": peer, f"value of {OURS}": own, "error above": max(own / peer - 1, 0.0)}
    return Case(name, {PEER: quiet, OURS: ours}, {**numbers, "first call in s": first, **facts})


def _lost(x: np.ndarray, components: Any) -> float:
    """The squared error per row outside of some orthonormal directions, from the mean."""
    centered = x - x.mean(0)
    rows = np.asarray(components)
    return float(np.mean(np.sum(centered**2, 1)) - np.mean(np.sum((centered @ rows.T) ** 2, 1)))


def _components(found: Any) -> Any:
    return found.components if isinstance(found, data.Components) else found.components_


def pca(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """PCA of whole images."""
    x, reducer = images.reshape(len(images), -1), data.pca(c.components)
    peer = decomposition.PCA(c.components)
    name = f"pca {x.shape[0]}x{x.shape[1]} to {c.components}"
    return compared(name, lambda: peer.fit(x), lambda: data.fit(reducer, x), lambda f: _lost(x, _components(f)))


def incremental_pca(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """Incremental PCA of whole images, in the same batches."""
    x = images[: c.rows].reshape(-1, images[0].size)
    batches, reducer = [x[i : i + c.batch] for i in range(0, len(x), c.batch)], data.incremental_pca(c.components)

    def theirs() -> Any:
        return decomposition.IncrementalPCA(c.components, batch_size=c.batch).fit(x)

    name = f"incremental pca {x.shape[0]}x{x.shape[1]} to {c.components}, batches of {c.batch}"
    return compared(name, theirs, lambda: data.fit(reducer, batches), lambda f: _lost(x, _components(f)))


def svd(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """Randomized SVD of a matrix whose singular values fall as 1 / i, in noise."""
    inner = 2 * c.rank
    left, right = draw.normal(size=(c.rows, inner)), draw.normal(size=(inner, c.columns))
    x = (left / np.arange(1, inner + 1)) @ right + 0.1 * draw.normal(size=(c.rows, c.columns))
    x = jax.block_until_ready(jax.numpy.asarray(x, np.float32))
    host, whole = np.asarray(x), float(np.sum(np.asarray(x) ** 2, dtype=np.float64))

    def rest(found: Any) -> float:
        values = found.values if isinstance(found, data.SVD) else found[1]
        return whole - float(np.sum(np.asarray(values, np.float64) ** 2))

    def theirs() -> Any:
        return randomized_svd(host, c.rank, random_state=0)

    name = f"randomized svd {c.rows}x{c.columns}, rank {c.rank}"
    return compared(name, theirs, lambda: data.randomized_svd(x, c.rank, key, power=c.power), rest)


def lasso(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """A lasso path on correlated features."""
    x = draw.normal(size=(c.rows, c.columns)) + draw.normal(size=(c.rows, 1))
    weights = np.where(np.arange(c.columns) < c.nonzeros, draw.normal(size=c.columns), 0)
    x = x.astype(np.float32)
    y = (x @ weights + draw.normal(size=c.rows)).astype(np.float32)
    x, y = x - x.mean(0), y - y.mean()
    reducer = data.lasso_path(c.penalties, least=c.least, tolerance=c.tolerance)

    def theirs() -> Any:
        return linear_model.lasso_path(x, y, alphas=c.penalties, eps=c.least, tol=c.tolerance)

    def value(found: Any) -> float:
        penalties, w = (found.penalties, found.weights.T) if isinstance(found, data.LinearPath) else found[:2]
        rest = y[:, None] - x @ np.asarray(w)
        return float(np.sum(np.mean(rest**2, 0) / 2 + np.asarray(penalties) * np.abs(w).sum(0)))

    name = f"lasso path {c.rows}x{c.columns}, {c.penalties} penalties"
    return compared(name, theirs, lambda: data.fit(reducer, (x, y)), value)


def patches(images: np.ndarray, c: Any, draw: np.random.Generator) -> np.ndarray:
    """Random square patches of images.

    Args:
        images: `[n, height, width]`.
        c: `rows`, their number, and `size`.
        draw: generator.

    Returns:
        `[rows, size * size]`.
    """
    places = [draw.integers(0, high, c.rows) for high in (len(images), *(s - c.size + 1 for s in images.shape[1:]))]
    windows = np.lib.stride_tricks.sliding_window_view(images, (c.size, c.size), axis=(1, 2))
    return np.ascontiguousarray(windows[places[0], places[1], places[2]]).reshape(c.rows, -1)


def nmf(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """NMF of patches by coordinate descent, the same steps from the same start."""
    x = patches(images, c, draw)
    start = [
        draw.uniform(0.01, 1, shape).astype(np.float32)
        for shape in ((len(x), c.components), (c.components, x.shape[1]))
    ]

    def theirs() -> Any:
        peer = decomposition.NMF(c.components, init="custom", max_iter=c.steps, tol=0)
        return peer.fit_transform(x, W=start[0].copy(), H=start[1].copy()), peer.components_

    def ours() -> Any:
        found = data.nmf_of(x, c.components, key, steps=c.steps, tolerance=0, start=(start[0], start[1]))
        return found.codes, found.parts.components

    name = f"nmf of {len(x)} patches of {c.size}x{c.size} to {c.components}, {c.steps} steps"
    return compared(name, theirs, ours, lambda f: float(np.sum((x - np.asarray(f[0]) @ np.asarray(f[1])) ** 2)))


def dictionary(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """Online dictionary learning on patches, one pass."""
    x = patches(images, c, draw)
    x -= x.mean(1, keepdims=True)
    reducer = data.online_dictionary(c.atoms, key, penalty=c.penalty, size=c.batch)

    def theirs() -> Any:
        peer = decomposition.MiniBatchDictionaryLearning(
            c.atoms, alpha=c.penalty, batch_size=c.batch, max_iter=1, fit_algorithm="cd", random_state=0
        )
        return peer.fit(x).components_

    def value(atoms: Any) -> float:
        found = data.Dictionary(jax.numpy.asarray(atoms, np.float32), jax.numpy.float32(c.penalty))
        codes = np.asarray(found.transform(x))
        return float(np.sum((x - codes @ np.asarray(atoms)) ** 2) / 2 + c.penalty * np.abs(codes).sum())

    name = f"online dictionary of {len(x)} patches of {c.size}x{c.size}, {c.atoms} atoms"
    return compared(name, theirs, lambda: data.fit(reducer, x).atoms, value)


def information(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """Mutual information of features with a class that shifts the first ones; both should find as much."""
    y = draw.integers(0, c.classes, c.rows)
    x = draw.normal(size=(c.rows, c.columns))
    x += y[:, None] * np.linspace(1, 0, c.columns)
    reducer = data.select_mutual_information(1, classes=c.classes, rows=c.rows, key=key)

    def theirs() -> Any:
        return feature_selection.mutual_info_classif(x, y, random_state=0)

    def value(found: Any) -> float:
        return float(np.sum(found.scores if isinstance(found, data.Selected) else found))

    name = f"mutual information of {c.rows}x{c.columns} with {c.classes} classes"
    return compared(name, theirs, lambda: data.fit(reducer, (x, y)), value)


def centers(c: Any, images: np.ndarray, draw: np.random.Generator, key: jax.Array) -> Case:
    """Greedy k-center; scikit-learn has no such method, so its distances stand in a loop."""
    x = images[: c.rows].reshape(-1, images[0].size)
    on_device = jax.numpy.asarray(x)

    def theirs() -> Any:
        nearest, new = np.full(len(x), np.inf, np.float32), 0
        for _ in range(c.centers):
            nearest = np.minimum(nearest, pairwise_distances(x, x[new : new + 1])[:, 0])
            new = int(nearest.argmax())
        return nearest

    def value(found: Any) -> float:
        return float(np.max(found.distances if isinstance(found, data.Coreset) else found))

    name = f"k-center of {x.shape[0]}x{x.shape[1]}, {c.centers} centers"
    return compared(name, theirs, lambda: data.k_center(on_device, c.centers), value)


METHODS: dict[str, Callable[..., Case]] = {
    "pca": pca,
    "incremental_pca": incremental_pca,
    "svd": svd,
    "lasso": lasso,
    "nmf": nmf,
    "dictionary": dictionary,
    "information": information,
    "centers": centers,
}
