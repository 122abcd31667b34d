"""What the table needs of a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class Model(NamedTuple):
    """A network with its weights and data.

    Attributes:
        params: Arrays by the names of the file, in the axes of the file.
        fn: Function of the parameters and the arrays of a batch.
        calibration: Batches for statistics.
        evaluation: Batches for the fidelity; their outputs are compared as one array.
        compare: `(outputs of the dense network, outputs) -> {column: text or number}`.
        tables: Pattern of the weights that are read by row; empty if there are none.
    """

    params: dict[str, jax.Array]
    fn: Callable[..., jax.Array]
    calibration: Sequence[tuple[jax.Array, ...]]
    evaluation: Sequence[tuple[jax.Array, ...]]
    compare: Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
    tables: str = ""

    def outputs(self, run: Callable[..., jax.Array], tree: Any) -> np.ndarray:
        """The outputs of a compiled function on all batches of the evaluation."""
        return np.concatenate([np.asarray(run(tree, *batch)) for batch in self.evaluation])
