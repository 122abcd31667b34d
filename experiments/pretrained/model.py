"""What the table needs of a network."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np


class Model(NamedTuple):
    """A network with its weights and data.

    Attributes:
        params: Arrays by the names of the file, in the axes of the file.
        fn: Function of the parameters and the arrays of a batch.
        calibration: A batch for statistics.
        evaluation: A batch for the fidelity.
        compare: `(outputs of the dense network, outputs) -> {column: text or number}`.
    """

    params: dict[str, jax.Array]
    fn: Callable[..., jax.Array]
    calibration: tuple[jax.Array, ...]
    evaluation: tuple[jax.Array, ...]
    compare: Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
