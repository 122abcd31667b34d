"""prepare changes the form, never the function: dense where only bytes were saved, integers where products are."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors

CODES = np.array([[1, -2, 3], [0, 4, -5]], np.int8)
SCALE = np.array([[0.5, 1.0, 2.0]], np.float32)
MASK = np.array([[True, False, True], [False, True, True]])
FLOATS = np.array([[1.0, -2.0, 0.25], [3.0, 4.0, -0.5]], np.float32)


def test_masks_tables_and_weight_only_codes_become_dense() -> None:
    tree = {
        "mask": tensors.Masked(jnp.asarray(FLOATS), jnp.asarray(MASK)),
        "table": tensors.Codebook(jnp.asarray([-1.0, 2.5]), jnp.asarray(MASK, jnp.uint8)),
        "codes": tensors.Quantized(jnp.asarray(CODES), jnp.asarray(SCALE)),
        "bias": jnp.arange(3.0),
    }
    ready = interpret.prepare(tree)
    assert {type(x).__mro__[0].__name__ for x in ready.values()}.isdisjoint({"Masked", "Codebook", "Quantized"})
    np.testing.assert_array_equal(ready["mask"], FLOATS * MASK)
    np.testing.assert_array_equal(ready["table"], np.where(MASK, 2.5, -1.0))
    np.testing.assert_array_equal(ready["codes"], CODES * SCALE)
    np.testing.assert_array_equal(ready["bias"], np.arange(3.0))


@pytest.mark.parametrize("order", [(), (1, 0)])
def test_integer_grids_get_their_inputs_last(order: tuple[int, ...]) -> None:
    stored = CODES.T if order else CODES
    node = tensors.Quantized(jnp.asarray(stored), jnp.asarray(SCALE), order=order, activation="dynamic")
    ready = interpret.prepare({"kernel": node})["kernel"]
    np.testing.assert_array_equal(ready.codes, CODES.T)
    np.testing.assert_array_equal(ready.materialize(), CODES * SCALE)
    assert ready.activation == "dynamic"


def test_integer_tables_and_masks_over_them_become_one_grid() -> None:
    table = tensors.Quantized(jnp.asarray([-3, 0, 7], jnp.int8), jnp.asarray([0.5]), activation="dynamic")
    codes = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
    node = tensors.Masked(tensors.Codebook(table, jnp.asarray(codes)), jnp.asarray(MASK))
    ready = interpret.prepare({"kernel": node})["kernel"]
    assert isinstance(ready, tensors.Quantized)
    np.testing.assert_array_equal(ready.materialize(), np.array([-1.5, 0.0, 3.5])[codes] * MASK)


def test_factors_and_terms_are_kept_and_prepared_inside() -> None:
    left = tensors.Masked(jnp.asarray(FLOATS), jnp.asarray(MASK))
    low = tensors.LowRank(left, jnp.ones((3, 4)))
    ready = interpret.prepare({"kernel": tensors.Sum((low, jnp.ones((2, 4))))})["kernel"]
    assert isinstance(ready, tensors.Sum)
    assert isinstance(ready.terms[0], tensors.LowRank)
    np.testing.assert_array_equal(ready.terms[0].left, FLOATS * MASK)
    np.testing.assert_allclose(ready.materialize(), (FLOATS * MASK) @ np.ones((3, 4)) + 1)
