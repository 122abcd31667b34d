"""Products of a matrix with itself."""

import jax
import numpy as np

from compressjax.data import _gram


def test_blocks_give_the_whole_product(draw):
    x = draw.normal(size=(5, 390)).astype(np.float32)  # halves of 195, quarters of 97 and 98
    np.testing.assert_allclose(jax.jit(_gram.gram)(x), x.T @ x, atol=1e-5)
