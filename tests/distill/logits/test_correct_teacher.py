"""Corrected teachers entry by entry."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill


def test_label_and_prediction_swap(draw: np.random.Generator) -> None:
    teacher, labels = draw.normal(size=(2, 5, 4)).astype(np.float32), draw.integers(4, size=(2, 5))
    want = teacher.copy()
    for row, y in zip(want.reshape(-1, 4), labels.reshape(-1)):
        m = row.argmax()
        row[[y, m]] = row[[m, y]]
    got = distill.correct_teacher(jnp.asarray(teacher), jnp.asarray(labels))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.argmax(got, axis=-1), labels)
    assert (want != teacher).any()
    with pytest.raises(ValueError, match=r"labels \(5,\)"):
        distill.correct_teacher(jnp.asarray(teacher), jnp.zeros(5, int))
