"""Images as histograms of their edges: a fixed first layer, which no training image is asked about."""

import jax
import numpy as np

from experiments.datasets import white
from experiments.problem import Problem

DIRECTIONS = 8
ROWS = 1000


def with_edges(problem: Problem, cell: int) -> Problem:
    """The problem with histograms of edges for images; their scale is fixed, not that of the training images."""
    data = problem.data
    train, test = (edges(x, white(data.name), cell) for x in (data.train_images, data.test_images))
    seen = data._replace(train_images=train, test_images=test, mean=0.0, std=0.125)
    return problem._replace(data=seen, images=jax.device_put(train, problem.images.sharding))


def edges(images: np.ndarray, brightest: float, cell: int) -> np.ndarray:
    """Strengths of edges by direction, and the brightness, around the middles of a grid of cells.

    A difference `g` of the pixels beside counts `|g| max(cos, 0)^4` for each direction, of whose angle to `g` this is
    the cosine. Cells weigh what is around them by a triangle that reaches into the next cells; the strengths of a cell
    are square roots. The manner is that of Dalal and Triggs, Histograms of oriented gradients, 2005.

    Args:
        images: `[n, side, side, 1]`, integers.
        brightest: The largest level.
        cell: Pixels of a side of a cell; divides the side.

    Returns:
        `[n, side / cell, side / cell, DIRECTIONS + 1]`, float32.
    """
    side, angles = images.shape[1], np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    middles = (np.arange(side // cell) + 0.5) * cell - 0.5
    weights = np.maximum(1 - np.abs(middles[:, None] - np.arange(side)) / cell, 0).astype(np.float32) / cell
    found = []
    for i in range(0, len(images), ROWS):
        x = images[i : i + ROWS, ..., 0].astype(np.float32) / np.float32(brightest)
        wide = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        right, down = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
        size = np.sqrt(right**2 + down**2) + np.float32(1e-6)
        maps = [x]
        for angle in angles.astype(np.float32):
            along = np.maximum(np.cos(angle) * right + np.sin(angle) * down, 0)
            maps.append(size * np.square(np.square(along / size)))
        rows = np.tensordot(np.stack(maps), weights, (2, 1))  # [maps, n, side, cells]: large products are fast
        cells = np.moveaxis(np.tensordot(rows, weights, (2, 1)), 0, -1)
        found.append(np.concatenate([np.sqrt(cells[..., 1:]), cells[..., :1]], -1))
    return np.concatenate(found)
