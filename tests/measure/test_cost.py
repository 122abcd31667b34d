"""Operations against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import lift, measure, tensors
from tests.helpers import array


def test_flops_of_a_product_and_of_a_convolution():
    x, w = array(0, (4, 8)), array(1, (8, 16))
    assert measure.flops(lambda x, w: x @ w, x, w) == 2 * 4 * 8 * 16
    image, kernel = jax.ShapeDtypeStruct((1, 6, 6, 3), jnp.float32), jax.ShapeDtypeStruct((3, 3, 3, 5), jnp.float32)
    numbers = ("NHWC", "HWIO", "NHWC")
    found = measure.flops(lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=numbers),
                          image, kernel)  # fmt: skip
    assert found == 2 * 4 * 4 * 3 * 3 * 3 * 5


def test_flops_of_factors_are_those_of_two_products():
    node = tensors.LowRank(array(0, (64, 4)), array(1, (4, 32)))
    found = measure.flops(lift(lambda p, x: x @ p["kernel"]), {"kernel": node}, array(2, (8, 64)))
    assert found == 2 * 8 * (64 * 4 + 4 * 32) == 16 * measure.multiply_adds({"kernel": node})["kernel"].stored


def test_a_loop_counts_once():
    def many(x, w):
        return jax.lax.fori_loop(0, 9, lambda i, y: y @ w, x)

    x, w = array(0, (4, 8)), array(1, (8, 8))
    assert measure.flops(many, x, w) < 2 * measure.flops(lambda x, w: x @ w, x, w)


def test_multiply_adds_by_hand():
    mask = np.arange(12).reshape(3, 4) < 5
    rank1 = tensors.LowRank(np.ones((3, 1), np.float32), np.ones((1, 4), np.float32))
    tree = {
        "dense": np.ones((3, 4), np.float32),
        "masked": tensors.Masked(np.ones((3, 4), np.float32), mask),
        "masked_factors": tensors.Masked(rank1, mask | True),
        "sum": tensors.Sum((rank1, tensors.Masked(np.ones((3, 4), np.float32), mask))),
        "shared": tensors.Codebook(np.ones(2, np.float32), np.zeros((3, 4), np.uint8)),
        "bias": np.ones(4, np.float32),
        "table": np.ones((3, 4), np.int32),
    }
    found = measure.multiply_adds(tree)
    assert {path: counts.stored for path, counts in found.items()} == {
        "dense": 12, "masked": 5, "masked_factors": 7, "sum": 12, "shared": 12,
    }  # fmt: skip
    assert {counts.dense for counts in found.values()} == {12}
