"""Rounded inputs in NumPy: the tensor is the inner one."""

import numpy as np
import pytest

from compressjax.coding import materialize
from compressjax.decoders._rounded_inputs import _check
from tests.coding.samples import shared, spec


def test_the_tensor_is_the_inner_one():
    inner = shared(1, 4, 3)
    dense = materialize(spec("RoundedInputs", {"inner": inner, "step": np.float32(0.5).reshape(())}))
    np.testing.assert_array_equal(dense, materialize(inner))


@pytest.mark.parametrize(
    ("step", "meta", "message"),
    [
        (None, {"bits": 1}, "bits=1"),
        (None, {"signed": 1}, "signed=1"),
        (None, {"rule": "ste"}, "'ste'"),
        (np.ones((), np.int32), {}, "not an array of floats"),
        (np.ones(3, np.float32), {}, "its step of shape"),
    ],
)
def test_what_does_not_fit_is_refused(step, meta, message):
    fields, shapes = {"inner": None, "step": step}, {"inner": (4, 3)}
    if step is not None:
        shapes["step"] = step.shape
    with pytest.raises(ValueError, match=message):
        _check(fields, shapes, meta)
    _check({"inner": None}, {"inner": (4, 3)}, {"bits": 4, "signed": False, "rule": "lsq"})
