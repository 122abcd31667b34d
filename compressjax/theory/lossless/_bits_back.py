"""Bits-back coding: images coded with a latent variable model at the length of its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import constriction
import numpy as np
from numpy.typing import ArrayLike

from compressjax.coding import ArtifactError
from compressjax.core._settings import as_int

Posterior = Callable[[np.ndarray], tuple[ArrayLike, ArrayLike]]
Likelihood = Callable[[np.ndarray], ArrayLike]
_REACH = 8  # standard deviations of the prior that the grid of codes covers
_CATEGORICAL = constriction.stream.model.Categorical(perfect=False)


class BitsBack(NamedTuple):
    """A latent variable model as functions of one row, and the grid of its codes.

    Attributes:
        posterior: `x [pixels] -> (mean, deviation)` of the codes, `[latent]` each, the deviation above 0.
        likelihood: `z [latent] -> [pixels, levels]`, probabilities of every level of every pixel.
        latent: Numbers of a code; their prior is standard normal.
        steps: Grid points in a standard deviation of the prior; half as many cost nearly nothing.
        spare: 32-bit words of noise that the first codes are drawn from; 0 for `latent + 16`.
    """

    posterior: Posterior
    likelihood: Likelihood
    latent: int
    steps: int = 64
    spare: int = 0

    def words(self) -> np.ndarray:
        """The noise that coding starts from, the same for everybody."""
        return np.random.default_rng(0).integers(1, 2**32, self.spare or self.latent + 16, dtype=np.uint32)


def encode_rows(rows: ArrayLike, model: BitsBack) -> bytes:
    """Compresses rows of pixels; every row costs what the evidence lower bound says, up to the grid.

    .. math:: \\ell(x) = -\\log_2 p(x | z) - \\log_2 p(z) + \\log_2 q(z | x), \\quad z \\sim q(z | x)

    The bits that choose `z` are taken from those that are already coded, and come back when the row is decoded. The
    first row takes them from noise, which stays in the stream. Codes are rounded to a grid, on which prior and
    posterior are normal distributions. Both ways must run the same functions on the same machine, because these give
    floats.

    Args:
        rows: `[n, pixels]`, integers from 0 to `levels - 1`.
        model: Trained on other rows.

    Returns:
        The bytes; `decode_rows` gives the rows back.

    Raises:
        ValueError: If rows are no integers of two axes, or the functions give other shapes.

    Example:
        >>> flat = BitsBack(lambda x: (np.zeros(1), np.ones(1)), lambda z: np.full((4, 2), 0.5), latent=1)
        >>> rows = np.array([[0, 1, 1, 0], [1, 1, 0, 0]])
        >>> decode_rows(encode_rows(rows, flat), flat, 2).tolist()
        [[0, 1, 1, 0], [1, 1, 0, 0]]

    Source: Townsend et al., Practical lossless compression with latent variables using bits back coding,
    arXiv:1901.04866 (townsend2019).
    """
    held = np.asarray(rows)
    if held.ndim != 2 or held.dtype.kind not in "iu":
        raise ValueError(f"encode_rows: rows are {held.dtype}{list(held.shape)}; give integers [n, pixels]")
    coder = constriction.stream.stack.AnsCoder(model.words(), seal=True)
    gauss, scale, zero = _grid(model)
    for row in held:
        mean, deviation = _moments(model, row)
        code = coder.decode(gauss, mean, deviation)
        coder.encode_reverse(
            row.astype(np.int32), _CATEGORICAL, _levels(model, code, len(row), int(row.max(initial=0)))
        )
        coder.encode_reverse(code, gauss, zero, scale)
    return coder.get_compressed().astype("<u4").tobytes()


def decode_rows(data: bytes, model: BitsBack, count: int) -> np.ndarray:
    """Returns the rows that `encode_rows` compressed.

    Args:
        data: What it returned.
        model: The same.
        count: Rows.

    Returns:
        `[count, pixels]`, int32.

    Raises:
        ArtifactError: If the noise at the end is not that of the start: the data, the model or the machine is another.
        ValueError: If the count is negative.

    Example:
        >>> flat = BitsBack(lambda x: (np.zeros(1), np.ones(1)), lambda z: np.full((1, 2), 0.5), latent=1)
        >>> decode_rows(encode_rows([[1]], flat), flat, 1).tolist()
        [[1]]

    Source: as for `encode_rows`.
    """
    number = as_int("decode_rows", "count", count)
    if number < 0 or len(data) % 4:
        raise ValueError(f"decode_rows: count={count} must be at least 0, and {len(data)} bytes a multiple of 4")
    coder = constriction.stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype(np.uint32))
    gauss, scale, zero = _grid(model)
    rows: list[np.ndarray] = []
    for _ in range(number):
        code = coder.decode(gauss, zero, scale)
        row = coder.decode(_CATEGORICAL, _levels(model, code, None, 0))
        coder.encode_reverse(code, gauss, *_moments(model, row))
        rows.append(row)
    try:
        left = coder.get_compressed(unseal=True)
    except (AssertionError, ValueError):
        left = np.zeros(0)
    if not np.array_equal(left, model.words()):
        raise ArtifactError("decode_rows: the stream does not end as it began; decode with the model, the count and "
                            "the machine of encode_rows")  # fmt: skip
    return np.stack(rows[::-1]) if rows else np.zeros((0, 0), np.int32)


def _grid(model: BitsBack) -> tuple[Any, np.ndarray, np.ndarray]:
    """Normal distributions on the grid, and the deviation and mean of the prior there."""
    reach = _REACH * model.steps
    gauss = constriction.stream.model.QuantizedGaussian(-reach, reach)
    return gauss, np.full(model.latent, float(model.steps)), np.zeros(model.latent)


def _moments(model: BitsBack, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = [np.asarray(x, np.float64) for x in model.posterior(row)]
    if any(x.shape != (model.latent,) or not np.isfinite(x).all() for x in found) or not (found[1] > 0).all():
        raise ValueError(f"encode_rows: the posterior gave shapes {[x.shape for x in found]} or values that are no "
                         f"moments; give finite means and positive deviations [{model.latent}]")  # fmt: skip
    reach = (_REACH - 0.5) * model.steps
    return np.clip(found[0] * model.steps, -reach, reach), np.maximum(found[1] * model.steps, 1e-2)


def _levels(model: BitsBack, code: np.ndarray, pixels: int | None, largest: int) -> np.ndarray:
    found = np.asarray(model.likelihood(code / model.steps), np.float32)
    fits = found.ndim == 2 and found.shape[0] == (pixels or found.shape[0]) and found.shape[1] > max(largest, 1)
    if not fits or not (np.isfinite(found).all() and (found >= 0).all()):
        raise ValueError(f"encode_rows: the likelihood gave {list(found.shape)} for a row of {pixels} pixels up to "
                         f"{largest}; give probabilities [pixels, levels]")  # fmt: skip
    return found
