"""Description lengths: the bits that say which model a file holds."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

from compressjax import coding
from compressjax.core._settings import as_int, as_number


class DescriptionLength(NamedTuple):
    """The bits that a bound pays for a model.

    Attributes:
        code: Bits of the file.
        prefix: Bits that say where the code ends, so that no code is the start of another.
        choice: Bits that say which of the settings that were tried it was.
    """

    code: float
    prefix: float
    choice: float

    @property
    def bits(self) -> float:
        """All of them; the prior of the model is `2 ** -bits`."""
        return self.code + self.prefix + self.choice


def description_length(
    artifact: str | os.PathLike[str] | float, *, tried: int = 1, self_delimiting: bool = False, checksums: bool = True
) -> DescriptionLength:
    """Returns the description length of a saved model: of the file as it is, or without its checksums.

    .. math:: \\ell' = \\ell + 2 \\log_2 \\ell + \\lceil \\log_2 t \\rceil

    By Kraft's inequality, `2 ** -bits` sums to at most 1 over all models, so it is a prior. What decodes the file, the
    library and the function, was fixed before the data were seen and costs nothing; so must every other thing be that
    the file does not hold.

    Args:
        artifact: A file of `artifact.save`, whose checksums are verified; or a number of bits of any other code, at
            least 1.
        tried: How many settings could have been chosen by these data, at least 1: seeds, sizes, recipes.
        self_delimiting: Whether the code says where it ends. A file does not: its length is known from outside.
        checksums: Whether to charge those of a file. They follow from its other bytes, so the file without them names
            the same models, and a code that leaves them out is a code.

    Returns:
        `DescriptionLength`; its `bits` are what bounds take.

    Raises:
        ArtifactError: If the file cannot be read or is not intact.
        ValueError: If a number is out of range.

    Example:
        >>> length = description_length(1024, tried=100)
        >>> length, length.bits
        (DescriptionLength(code=1024, prefix=20.0, choice=7), 1051.0)

    Source: Lotfi et al., arXiv:2211.13609 (lotfi2022).
    """
    settings = as_int("description_length", "tried", tried)
    if settings < 1:
        raise ValueError(f"description_length: tried={tried} must be at least 1, the setting that was taken")
    if isinstance(artifact, str | os.PathLike):
        ledger = coding.inspect(artifact).ledger
        code: float = 8 * (ledger.file_bytes - (0 if checksums else ledger.rest["checksums"]))
    else:
        if not checksums:
            raise ValueError("description_length: checksums=False goes with a file, and artifact is a number of bits")
        code = as_number("description_length", "artifact", artifact)
    if not 1 <= code < math.inf:
        raise ValueError(f"description_length: a code of {code} bits is not possible; give at least 1 bit, or a file")
    return DescriptionLength(code, 0.0 if self_delimiting else 2 * math.log2(code), math.ceil(math.log2(settings)))
