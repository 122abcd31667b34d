"""Values of any shapes and types come back from flat arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.structure._packing import packing, widest


def test_values_come_back_and_lengths_are_the_largest(draw):
    values = {3: draw.normal(size=(2, 3)).astype(np.float32), 5: np.arange(4), 9: np.float32(2.5), 1: np.array([True])}
    values = {n: jnp.asarray(x) for n, x in values.items()}
    first, second = packing([3, 9, 1], values), packing([5, 9], values)
    assert first.widths == {"float32": 7, "bool": 1}
    lengths = widest([first, second])
    assert lengths == {"bool": 1, "float32": 7, "int32": 4}
    for one in (first, second):
        vectors = one.pack(values, lengths)
        assert {dtype: x.shape for dtype, x in vectors.items()} == {dtype: (n,) for dtype, n in lengths.items()}
        for number, x in one.unpack(vectors).items():
            np.testing.assert_array_equal(x, values[number])
            assert x.dtype == values[number].dtype


def test_keys_are_refused():
    with pytest.raises(ValueError, match="make keys inside of the function"):
        packing([0], {0: jax.random.key(0)})
