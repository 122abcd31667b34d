"""Singular value decompositions that know the inputs of a kernel: ASVD and SVD-LLM."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression
from compressjax.core._settings import as_number
from compressjax.lowrank._factorize import Axes, Parts, factorization
from compressjax.lowrank._rule import Rank, make_rule
from compressjax.lowrank._weighted import by_rows, whitened


def asvd(
    *,
    rank: Rank | None = None,
    energy: float | None = None,
    budget: float | None = None,
    alpha: float = 0.5,
    always: bool = False,
) -> Compression:
    """Factorizes kernels with rows weighed by the size of their inputs, so that outliers of the inputs are kept.

    .. math:: S W = U \\Sigma V^T, \\quad W \\approx (S^{-1} U_r \\Sigma_r^{1/2})(\\Sigma_r^{1/2} V_r^T), \\quad
        S = \\mathrm{diag}\\big(\\tfrac1N \\sum_n x_{ni}^2\\big)^{\\alpha / 2}

    The root mean square stands for the mean magnitude of the paper, because `observe` records it. Bytes and speed are
    those of `svd`.

    Args:
        rank: As for `svd`.
        energy: As for `svd`, of the weighted matrix.
        budget: As for `svd`.
        alpha: How much the inputs count, in [0, 1]: 0 is `svd`.
        always: As for `svd`.

    Returns:
        Compression whose nodes are `LowRank`; pass `stats=` to `compress`.

    Raises:
        ValueError: As for `svd`; if `alpha` is out of range, or a leaf has no statistics.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.eye(4)}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[1.0, 1.0, 1.0, 9.0]]))
        >>> compress(params, {".*": asvd(rank=1)}, stats)["kernel"].materialize().round(2)[3].tolist()
        [0.0, 0.0, 0.0, 1.0]

    Source: Yuan et al., arXiv:2312.05821 (yuan2023).
    """
    if not 0 <= as_number("asvd", "alpha", alpha) <= 1:
        raise ValueError(f"asvd: alpha={alpha} must be between 0 and 1; 0.5 is usual")

    def decompose(path: str, x: Any, shape: tuple[int, ...], stats: Any, rank: int | None) -> Parts:
        del rank
        if getattr(stats, "squares", None) is None:
            raise ValueError(
                f"asvd reads the squares of the inputs of {path!r}; run observe and pass its statistics as stats="
            )
        size = stats.squares / jnp.maximum(stats.count, 1)[..., None]
        return by_rows(x, shape, size ** (alpha / 2))

    return factorization(make_rule("asvd", rank, energy, budget), decompose, Axes(), always=always, needs=("squares",))


def svd_llm(
    *,
    rank: Rank | None = None,
    energy: float | None = None,
    budget: float | None = None,
    always: bool = False,
) -> Compression:
    """Factorizes kernels with the least change of their outputs on the observed inputs.

    .. math:: C W = U \\Sigma V^T, \\quad W \\approx (C^{-1} U_r \\Sigma_r^{1/2})(\\Sigma_r^{1/2} V_r^T), \\quad
        C^T C = X^T X, \\qquad \\|X W - X \\hat W\\|^2 = \\sum_{i > r} \\sigma_i^2

    No other factors of that rank lose less (the last equation is exact). Directions that the inputs do not have, up to
    1e-7 of the largest, are kept last. Bytes and speed are those of `svd`.

    Args:
        rank: As for `svd`.
        energy: As for `svd`, of the outputs.
        budget: As for `svd`.
        always: As for `svd`.

    Returns:
        Compression whose nodes are `LowRank`; pass `stats=` with Gram matrices to `compress`.

    Raises:
        ValueError: As for `svd`; if a leaf has no Gram matrix.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.eye(4)}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[1.0, 1.0, 0.0, 0.0]]))
        >>> found = compress(params, {".*": svd_llm(rank=1)}, stats)["kernel"]
        >>> (jnp.array([1.0, 1.0, 0.0, 0.0]) @ found.materialize()).round(2).tolist()
        [1.0, 1.0, 0.0, 0.0]

    Source: Wang et al., arXiv:2403.07378 (wang2024svdllm).
    """

    def decompose(path: str, x: Any, shape: tuple[int, ...], stats: Any, rank: int | None) -> Parts:
        del rank
        return whitened(x, shape, gram_of("svd_llm", path, stats))

    return factorization(make_rule("svd_llm", rank, energy, budget), decompose, Axes(), always=always, needs=("gram",))


def gram_of(who: str, path: str, stats: Any) -> jax.Array:
    """The Gram matrix of the inputs of a leaf."""
    if stats is None or getattr(stats, "gram", None) is None:
        raise ValueError(
            f"{who} reads the Gram matrix of the inputs of {path!r}; run observe(fn, gram=True) and pass its "
            "statistics as stats="
        )
    found: jax.Array = stats.gram
    return found
