"""Tables of numbers that codes index, by the name that nodes and files store."""

import ml_dtypes
import numpy as np

# Quantiles of the normal distribution, scaled to [-1, 1], with an exact zero (Dettmers et al., arXiv:2305.14314).
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def _bit_patterns(dtype: type, bits: int) -> np.ndarray:
    """The number of every bit pattern, for types that XLA has no arrays of."""
    return np.arange(2**bits, dtype=np.uint8).view(dtype).astype(np.float32)


TABLES: dict[str, np.ndarray] = {
    "nf4": np.asarray(_NF4, np.float32),
    "float6_e2m3fn": _bit_patterns(ml_dtypes.float6_e2m3fn, 6),
    "float6_e3m2fn": _bit_patterns(ml_dtypes.float6_e3m2fn, 6),
}
