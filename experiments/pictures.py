"""Draws what reducers of data learn.

python -m experiments.pictures --config=configs/data_pictures.py --workdir=DIR
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import data
from experiments import app, datasets, limits
from experiments.plots import as_png, new_figure

_LEVELS = 16


def draw(launch: app.Launch) -> None:
    """Writes one PNG file for every picture into the run's folder.

    Args:
        launch: config and folders; the config has `data`, `seed`, and the sizes of the pictures.

    Raises:
        ValueError: when the data set does not exist, or a size is out of its range.
    """
    config = launch.config
    held = datasets.load(config["data"]["name"], config["data"]["path"], launch.data_cache)
    images = held.train_images[: config["rows"], :, :, 0].astype(np.float32) / max(float(held.train_images.max()), 1.0)
    features = limits.Limit(1, images[0].size, whole=True)
    few = limits.Limit(2, images[0].size, whole=True)
    ranges = {"scree": few, "parts": features, "pixels": features, "penalties": limits.COUNT, "energy": limits.FRACTION}
    limits.check(config, ranges, "--config.")
    app.claim(launch)
    files = pictures(images, held.train_labels[: config["rows"]], config)
    app.write(launch.workdir, files)
    print("\n".join(f"{launch.workdir}/{name}" for name in files))


def pictures(images: np.ndarray, labels: np.ndarray, config: Mapping[str, Any]) -> dict[str, bytes]:
    """All pictures as PNG by file name.

    Args:
        images: `[n, height, width]` in `[0, 1]`.
        labels: `[n]`.
        config: as for `draw`.

    Returns:
        The files.
    """
    x, side, key = images.reshape(len(images), -1), images.shape[1:], jax.random.key(config["seed"])
    found = data.fit(data.pca(config["scree"]), x)
    ratios = np.asarray(found.explained_variance_ratio)
    components = np.asarray(found.components)
    levels = np.round(x * (_LEVELS - 1))
    chosen = data.fit(data.select_information(config["pixels"], int(labels.max()) + 1, bins=_LEVELS), (levels, labels))
    path = data.fit(data.lasso_path(config["penalties"]), (x, (labels == labels[0]).astype(np.float32)))
    atoms = data.fit(data.online_dictionary(config["parts"], key, penalty=config["penalty"], passes=3), x).atoms
    parts = data.fit(data.online_nmf(config["parts"], key, passes=5), x).components
    return {
        "scree.png": scree(ratios, config["energy"]),
        "components.png": tiles(components[: config["parts"]], side),
        "pixels.png": pixels(np.asarray(chosen.scores), np.asarray(chosen.places), side),
        "projection.png": projection(np.asarray(found.transform(x))[:, :2], labels),
        "lasso_path.png": lasso_path(np.asarray(path.penalties), np.asarray(path.weights)),
        "atoms.png": tiles(np.asarray(atoms), side),
        "parts.png": tiles(np.asarray(parts), side),
    }


def rank_of(ratios: np.ndarray, energy: float) -> int:
    """The least number of components with a share of the variance, or all of them.

    Example:
        >>> rank_of(np.array([0.5, 0.3, 0.15]), 0.8), rank_of(np.array([0.5, 0.3]), 0.9)
        (2, 2)
    """
    return min(int(np.searchsorted(np.cumsum(ratios) + 1e-9, energy)) + 1, len(ratios))


def scree(ratios: np.ndarray, energy: float) -> bytes:
    """Share of the variance of every component and of all up to it, with the rank that `energy` chooses."""
    figure, rank = new_figure(6.0, 3.5), rank_of(ratios, energy)
    axes, numbers = figure.add_subplot(), np.arange(1, len(ratios) + 1)
    axes.bar(numbers, 100 * ratios, color=np.where(numbers <= rank, "C0", "#ccc").tolist(), label="one component")
    axes.plot(numbers, 100 * np.cumsum(ratios), "C1o-", markersize=3, label="all up to it")
    axes.axvline(rank + 0.5, color="gray", linewidth=0.8)
    axes.set(xlabel="component", ylabel="percent of the variance", title=f"{rank} components hold {100 * energy:g} %")
    axes.legend(fontsize=8, loc="center right")
    return as_png(figure)


def tiles(rows: np.ndarray, side: tuple[int, ...]) -> bytes:
    """Rows `[k, pixels]` as images, each with colors from its least negative to its largest value, 0 in white."""
    wide = min(len(rows), 8)
    high = -(-len(rows) // wide)
    figure = new_figure(wide, high)
    for axes, row in zip(figure.subplots(high, wide, squeeze=False).flat, rows, strict=False):
        top = max(float(np.abs(row).max()), 1e-12)
        axes.imshow(row.reshape(side), cmap="RdBu", vmin=-top, vmax=top)
    for axes in figure.axes:
        axes.set_axis_off()
    return as_png(figure)


def pixels(scores: np.ndarray, places: np.ndarray, side: tuple[int, ...]) -> bytes:
    """The score of every pixel as an image, with a mark on those that were chosen."""
    figure = new_figure(4.0, 3.5)
    axes = figure.add_subplot()
    image = axes.imshow(scores.reshape(side), cmap="Greys")
    figure.colorbar(image, label="information about the class, nats")
    axes.scatter(places % side[1], places // side[1], marker="s", facecolors="none", edgecolors="C3")
    axes.set(xticks=[], yticks=[], title=f"{len(places)} of {scores.size} pixels")
    return as_png(figure)


def projection(points: np.ndarray, labels: np.ndarray) -> bytes:
    """Rows on two directions, one color a class."""
    figure = new_figure(5.5, 4.5)
    axes = figure.add_subplot()
    for label in np.unique(labels):
        axes.scatter(*points[labels == label].T, s=6, color=f"C{label % 10}", label=str(label))
    axes.set(xlabel="first component", ylabel="second component")
    axes.legend(fontsize=8, ncols=2, markerscale=2)
    return as_png(figure)


def lasso_path(penalties: np.ndarray, weights: np.ndarray) -> bytes:
    """Weights of all features against the penalty, and how many are not 0."""
    figure = new_figure(6.0, 4.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(penalties, weights, linewidth=0.8)
    lower.step(penalties, np.count_nonzero(weights, axis=1), where="mid")
    upper.set(xscale="log", ylabel="weight")
    upper.invert_xaxis()
    lower.set(xlabel="penalty", ylabel="features")
    return as_png(figure)


if __name__ == "__main__":
    app.launch(draw)
