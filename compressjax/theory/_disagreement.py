"""A certificate of one model for another, through the rows on which they disagree."""

from __future__ import annotations

from compressjax.core._settings import as_number
from compressjax.theory._certificate import Certificate
from compressjax.theory._inverse_bounds import binomial_tail_bound


def disagreement_bound(surrogate: Certificate | float, disagreements: int, rows: int, delta: float = 0.05) -> float:
    """Bounds the error of any model by a certified one that mostly agrees with it.

    .. math:: \\Pr[f(x) \\ne y] \\le \\Pr[h(x) \\ne y] + \\Pr[f(x) \\ne h(x)]

    The second probability needs no labels: it is bounded on rows that neither model saw. So a compressed model can
    certify the dense one that it came from. The result fails with probability at most `delta` and that of the surrogate
    together.

    Args:
        surrogate: The certificate of `h`, or its bound in [0, 1].
        disagreements: Rows on which the predictions differ.
        rows: Unlabeled rows of the same distribution, independent of both models, at least 1.
        delta: Probability that the bound on the disagreement fails, in (0, 1).

    Returns:
        The largest error of `f` on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(disagreement_bound(0.1, 50, 10000), 4)
        0.1063
    """
    bound = surrogate.bound if isinstance(surrogate, Certificate) else as_number(
        "disagreement_bound", "surrogate", surrogate
    )  # fmt: skip
    if not 0 <= bound <= 1:
        raise ValueError(f"disagreement_bound: surrogate={surrogate} must be a bound in [0, 1]")
    return min(1.0, bound + binomial_tail_bound(disagreements, rows, 0, delta))
