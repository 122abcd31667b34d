"""Mean gradients against derivatives by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize("times_input", [False, True])
def test_slopes_are_those_by_hand(times_input, draw):
    x, y = draw.normal(size=(12, 3)).astype(np.float32), draw.normal(size=12).astype(np.float32)

    def loss(x, y):
        return (x[:, 0] ** 2 + 3 * x[:, 1] - y) ** 2

    reducer = data.select_gradient(2, loss, labels="numbers", times_input=times_input)
    fitted = laws.check_pairs(reducer, x, y)
    outside = 2 * (x[:, 0] ** 2 + 3 * x[:, 1] - y)
    slopes = np.stack([outside * 2 * x[:, 0], outside * 3, 0 * y], 1)
    np.testing.assert_allclose(fitted.scores, np.abs(slopes * x if times_input else slopes).mean(0), rtol=1e-5)


def test_functions_that_give_no_number_a_row_are_named():
    with pytest.raises(ValueError, match=r"the function gives \(\) for 2 rows"):
        data.fit(data.select_gradient(1, jnp.sum), np.ones((2, 2)))
    with pytest.raises(ValueError, match="labels='both'"):
        data.select_gradient(1, lambda x: x, labels="both")
