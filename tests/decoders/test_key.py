"""Random keys in NumPy are their data."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, dumps, loads, materialize


def key(data, **meta):
    return {"node": "Key", "meta": meta, "fields": {"data": data}}


def test_keys_are_their_data():
    spec = loads(dumps({"k": key(np.arange(2, dtype=np.uint32), impl="threefry2x32")})).leaves["k"]
    assert materialize(spec).tolist() == [0, 1]


@pytest.mark.parametrize(
    "spec",
    [key(np.arange(2), impl="rbg"), key(np.uint32(3), impl="rbg"), key(np.zeros(2, np.uint32)), key(None, impl=3)],
)
def test_what_is_no_key_is_refused(spec):
    with pytest.raises(ArtifactError, match="fields of a Key"):
        loads(dumps({"k": spec}))
