"""Certificates: from the length of a file and the errors on its training rows to a bound on new rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from compressjax.theory._bounds import catoni_bound, mcallester_bound, occam_bound, quad_bound
from compressjax.theory._description import DescriptionLength, description_length
from compressjax.theory._inverse_bounds import binomial_tail_bound, kl_bound

_BOUNDS = {
    "binomial tail": binomial_tail_bound,
    "kl inverse": kl_bound,
    "catoni": catoni_bound,
    "quad": quad_bound,
    "mcallester": mcallester_bound,
    "occam": occam_bound,
}


class Certificate(NamedTuple):
    """A bound on the error on new rows, with all that it rests on.

    Attributes:
        bound: The largest error, except with probability `delta`: the binomial tail.
        errors: Wrong predictions on the rows.
        examples: Rows.
        length: The bits that were paid for the model.
        delta: Probability that the bound fails.
        bounds: `{name: bound}` of every form, for comparison. Each holds by itself.
        assumptions: What has to be true, in words.
    """

    bound: float
    errors: int
    examples: int
    length: DescriptionLength
    delta: float
    bounds: Mapping[str, float]
    assumptions: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"error on new rows at most {self.bound:.4%}, with confidence {1 - self.delta:.4g}",
            f"error on {self.examples} rows: {self.errors / self.examples:.4%}",
            f"description: {self.length.bits:.0f} bits (code {self.length.code:.0f}, end {self.length.prefix:.1f}, "
            f"choice {self.length.choice:.0f})",
            *(f"  {name:<14} {bound:.6f}" for name, bound in self.bounds.items()),
            *(f"assumes: {words}" for words in self.assumptions),
        ]
        return "\n".join(lines)


def certify(
    artifact: str | os.PathLike[str] | DescriptionLength,
    wrong: ArrayLike,
    *,
    iid: bool,
    trained_on: Any,
    measured_on: Any,
    delta: float = 0.05,
    tried: int = 1,
) -> Certificate:
    """Bounds the error on new rows by the length of a file and the errors on the rows that it was trained on.

    .. math:: R \\le \\sup \\{p : \\Pr[\\mathrm{Bin}(n, p) \\le n \\hat R] \\ge \\delta\\, 2^{-\\ell'}\\}

    The errors must be those of the model in the file, loaded and run, not of the model before compression. Nothing is
    certified about rows of another distribution.

    Args:
        artifact: The file of the model, or its `description_length`.
        wrong: `[n]`, whether each prediction on the training rows is wrong.
        iid: Whether rows and new rows are independent draws from one distribution. A bound needs that, so False raises.
        trained_on: Name or fingerprint of the rows that the model was chosen by.
        measured_on: The same of the rows of `wrong`.
        delta: Probability that the bound fails, in (0, 1).
        tried: As for `description_length`.

    Returns:
        The certificate; printed, it says what it assumes.

    Raises:
        ArtifactError: If the file cannot be read or is not intact.
        ValueError: If rows are not independent, the errors come from other rows than the training, or an argument is
            out of range.

    Example:
        >>> length = description_length(300)
        >>> found = certify(length, np.arange(4000) < 20, iid=True, trained_on="train", measured_on="train")
        >>> round(found.bound, 4), found.bound == min(found.bounds.values())
        (0.071, True)

    Source: Langford, JMLR 6 (2005) (langford2005); Lotfi et al., arXiv:2211.13609 (lotfi2022).
    """
    if iid is not True:
        raise ValueError(f"certify: iid={iid!r}; without independent rows of one distribution no bound holds. Measure "
                         "on such rows, or report the error with its interval only")  # fmt: skip
    if trained_on != measured_on:
        raise ValueError(f"certify: the model was trained on {trained_on!r} and its errors were counted on "
                         f"{measured_on!r}; count them on the training rows, or for rows that it never saw take "
                         "binomial_tail_bound(errors, examples, bits=0)")  # fmt: skip
    flags = np.asarray(wrong)
    if flags.ndim != 1 or flags.dtype != np.bool_ or not flags.size:
        raise ValueError(f"certify: wrong is {flags.dtype}{list(flags.shape)}; give one bool a row, such as "
                         "predictions != labels")  # fmt: skip
    length = artifact if isinstance(artifact, DescriptionLength) else description_length(artifact, tried=tried)
    errors, rows = int(flags.sum()), flags.size
    bounds = {name: bound(errors, rows, length.bits, delta) for name, bound in _BOUNDS.items()}
    assumptions = (
        f"the {rows} rows and the new ones are independent draws from one distribution",
        "errors are those of the model in the file, and predictions have no randomness",
        "the decoder, the function and all that the file lacks were fixed before these rows were seen",
        f"at most 2^{length.choice:.0f} settings were compared on these rows",
    )
    return Certificate(bounds["binomial tail"], errors, rows, length, float(delta), bounds, assumptions)
