"""Vector codebooks without JAX, and what a damaged file may claim."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, dumps, loads, materialize
from tests.coding.samples import spec, weights


def leaf(axis=-1, groups=2, largest=3):
    codes = np.array([[0, 1], [2, largest]], np.uint8)
    return spec("VectorCodebook", {"centroids": weights(0, groups, 4, 3), "codes": codes}, axis=axis)


def test_groups_have_their_own_tables():
    table = weights(0, 2, 4, 3)
    dense = materialize(loads(dumps({"w": leaf()})).leaves["w"])
    np.testing.assert_array_equal(dense, [[*table[0, 0], *table[1, 1]], [*table[0, 2], *table[1, 3]]])


@pytest.mark.parametrize(("setting", "message"), [
    ({"axis": 0}, "cut along 0"), ({"groups": 3}, "3 groups"), ({"largest": 4}, "span 0 to 4"), ({"axis": True}, "cut"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(setting, message):
    with pytest.raises(ArtifactError, match=message):
        loads(dumps({"w": leaf(**setting)}))
